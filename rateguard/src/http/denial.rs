//! What a client is told when it is denied.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use smallvec::SmallVec;

use super::grpc::{Call, Retry};
use super::headers::number;
use crate::clock::whole_seconds;
use crate::decision::Decision;

/// The problem documents, as far as they are always the same. The status is that of [`Denial::status`].
const EXCEEDED: &str = "{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
    \"title\":\"The quota for these requests is spent\",\"status\":429,\"detail\":\"";
const UNKNOWN: &str = "{\"type\":\"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity\",\
    \"title\":\"The request cannot be admitted at the moment\",\"status\":503,\"detail\":\"";

/// Room for all headers of a denial, so that the map does not grow.
const HEADERS: usize = 7;

/// The decisions that deny a request. At least one.
#[derive(Clone, Debug)]
pub(super) struct Denial(SmallVec<[Decision; 1]>);

impl Denial {
    /// `None` if all of them allow the request.
    #[inline]
    pub(super) fn of(decisions: &[Decision]) -> Option<Denial> {
        if decisions.iter().all(Decision::allowed) { None } else { Some(Denial::from_denied(decisions)) }
    }

    #[cold]
    fn from_denied(decisions: &[Decision]) -> Denial {
        Denial(decisions.iter().filter(|decision| !decision.allowed()).cloned().collect())
    }

    pub(super) fn decisions(&self) -> &[Decision] {
        &self.0
    }

    /// The decision that denies longest.
    pub(super) fn strictest(&self) -> Option<&Decision> {
        // One without an end lasts longest.
        self.0.iter().max_by_key(|decision| decision.retry_after().unwrap_or(Duration::MAX))
    }

    /// How long to wait until none of them denies any more. `None` if that never comes.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.strictest()?.retry_after()
    }

    /// Whether a cost is above its limit, so that waiting does not help.
    pub(super) fn never(&self) -> bool {
        !self.is_unknown() && self.retry_after().is_none()
    }

    pub(super) fn status(&self) -> StatusCode {
        // A quota that is known to be spent is the better answer.
        if self.is_unknown() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::TOO_MANY_REQUESTS }
    }

    fn is_unknown(&self) -> bool {
        self.0.iter().all(Decision::is_unknown)
    }

    /// The library's own answer: to a gRPC call as gRPC has it, otherwise a problem document.
    pub(super) fn response(&self, call: Option<&Call>) -> Response {
        let Some(call) = call else { return self.problem() };
        // An unknown state has an end.
        let retry = self.retry_after().map_or(Retry::Never, Retry::After);
        let mut response = call.answer(self.status(), &self.to_string(), retry);
        self.complete(response.headers_mut());
        response
    }

    /// The problem document (RFC 9457), of the types that the draft of the `RateLimit` header registers.
    fn problem(&self) -> Response {
        // Room for the name and the numbers of an ordinary policy.
        let mut json = String::with_capacity(384);
        json.push_str(if self.is_unknown() { UNKNOWN } else { EXCEEDED });
        self.words(&mut json);
        json.push_str("\",\"violated-policies\":[");
        for (i, decision) in self.0.iter().enumerate() {
            // The name of a policy has neither quotes nor backslashes nor control characters.
            json.push_str(if i > 0 { ",\"" } else { "\"" });
            json.push_str(decision.policy());
            json.push('"');
        }
        json.push_str("]}");
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.complete(headers);
        response
    }

    /// Adds the headers of a denial, except those that are there already.
    pub(super) fn complete(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(header::CACHE_CONTROL) {
            // A response for one client must not be cached for another.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let (Some(wait), false) = (self.retry_after(), headers.contains_key(header::RETRY_AFTER)) {
            headers.insert(header::RETRY_AFTER, number(whole_seconds(wait).max(1)));
        }
    }
}

/// In plain words, for the client.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = String::new();
        self.words(&mut words);
        f.write_str(&words)
    }
}

impl Denial {
    /// Without `write!`, which took 5 % of the instructions of a request that a layer denies.
    fn words(&self, to: &mut String) {
        if self.is_unknown() {
            return to.push_str("Requests cannot be counted at the moment");
        }
        let Some(strictest) = self.strictest() else { return };
        let limit = strictest.quota().limit();
        let units = strictest.check().policy.get_unit().unwrap_or("requests");
        if strictest.quota().allows_nothing() {
            return push(to, &["No ", units, " are allowed"]);
        }
        let units = if limit == 1 { units.strip_suffix('s').unwrap_or(units) } else { units };
        push(to, &["No more than ", itoa::Buffer::new().format(limit), " ", units, " in "]);
        window(to, strictest.quota().window());
        match strictest.retry_after() {
            Some(wait) => {
                push(to, &["; try again in ", itoa::Buffer::new().format(whole_seconds(wait).max(1)), " s"]);
            }
            None => to.push_str("; this request is larger than that and is never admitted"),
        }
    }
}

fn push(to: &mut String, texts: &[&str]) {
    for text in texts {
        to.push_str(text);
    }
}

/// A length of time as people say it, in the largest unit that divides it: `1 minute`, `90 seconds`, `500 ms`.
fn window(to: &mut String, window: Duration) {
    const UNITS: [(u64, &str); 4] = [(86_400, " day"), (3600, " hour"), (60, " minute"), (1, " second")];
    let seconds = window.as_secs();
    if window.subsec_nanos() > 0 || seconds == 0 {
        // As a fraction in binary, 1.005 would be 1.0050000000000001.
        let micros = window.as_micros();
        let _ = write!(to, "{}.{:03}", micros / 1000, micros % 1000);
        to.truncate(to.trim_end_matches('0').trim_end_matches('.').len());
        return to.push_str(" ms");
    }
    let (size, unit) = UNITS.into_iter().find(|(size, _)| seconds.is_multiple_of(*size)).unwrap_or((1, " second"));
    let count = seconds / size;
    push(to, &[itoa::Buffer::new().format(count), unit, if count == 1 { "" } else { "s" }]);
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;
    use crate::algorithm::Verdict;
    use crate::decision::{Check, OwnedCheck};
    use crate::{Key, Policy, Quota, StoreErrorKind};

    const POLICY: Policy = Policy::new("search", Quota::sliding_window(5, Duration::from_secs(60)));

    fn check() -> OwnedCheck {
        Check::new(&POLICY, &Key::global()).owned()
    }

    async fn answered(decision: Decision) -> (StatusCode, String) {
        let response = Denial::of(&[decision]).unwrap().response(None);
        let status = response.status();
        (status, String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().into()).unwrap())
    }

    #[tokio::test]
    async fn a_denial_is_a_problem_document_with_the_status_of_the_response() {
        let verdict =
            Verdict { allowed: false, remaining: 0, reset_after: 1, retry_after: Some(41_000_001), receipt: None };
        assert_eq!(
            answered(Decision::counted(check(), verdict)).await,
            (
                StatusCode::TOO_MANY_REQUESTS,
                r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"The quota for these requests is spent","status":429,"detail":"No more than 5 requests in 1 minute; try again in 42 s","violated-policies":["search"]}"#.to_owned(),
            )
        );
        assert_eq!(
            answered(Decision::uncounted(check(), false, StoreErrorKind::TimedOut)).await,
            (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","title":"The request cannot be admitted at the moment","status":503,"detail":"Requests cannot be counted at the moment","violated-policies":["search"]}"#.to_owned(),
            )
        );
    }

    #[test]
    fn a_window_is_said_in_words() {
        let words = |micros| {
            let mut words = String::new();
            window(&mut words, Duration::from_micros(micros));
            words
        };
        assert_eq!(words(500_000), "500 ms");
        assert_eq!(words(1_500), "1.5 ms");
        assert_eq!(words(1_005), "1.005 ms");
        assert_eq!(words(1_022_030), "1022.03 ms");
        assert_eq!(words(2_500_000), "2500 ms");
        for (seconds, said) in [
            (1, "1 second"),
            (60, "1 minute"),
            (90, "90 seconds"),
            (7200, "2 hours"),
            (86_400, "1 day"),
            (365 * 86_400, "365 days"),
        ] {
            assert_eq!(words(seconds * 1_000_000), said);
        }
    }
}
