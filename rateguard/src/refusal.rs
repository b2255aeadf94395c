//! What is said to a client that was refused.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::decision::Decision;
use crate::headers::whole_seconds;
use crate::number;

/// The decisions that refuse a request. At least one.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(Vec<Decision>);

impl Refusal {
    /// `None` if all of them admit the request.
    pub(crate) fn of(decisions: &[Decision]) -> Option<Refusal> {
        if decisions.iter().all(Decision::allowed) {
            return None;
        }
        Some(Refusal(decisions.iter().filter(|decision| !decision.allowed()).cloned().collect()))
    }

    pub(crate) fn decisions(&self) -> &[Decision] {
        &self.0
    }

    /// The one that refuses longest.
    pub(crate) fn strictest(&self) -> Option<&Decision> {
        // One without an end lasts longest.
        self.0.iter().max_by_key(|decision| decision.retry_after().unwrap_or(Duration::MAX))
    }

    /// How long to wait until none of them refuses any more. `None` if that never comes.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.strictest()?.retry_after()
    }

    pub(crate) fn status(&self) -> StatusCode {
        // A quota that is known to be spent is the better answer.
        if self.is_unknown() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::TOO_MANY_REQUESTS }
    }

    fn is_unknown(&self) -> bool {
        self.0.iter().all(Decision::is_unknown)
    }

    /// The problem document, in the types that the draft of the `RateLimit` header registers.
    pub(crate) fn problem(&self) -> Response {
        let (kind, title) = if self.is_unknown() {
            ("temporary-reduced-capacity", "The request cannot be admitted at the moment")
        } else {
            ("quota-exceeded", "The quota for these requests is spent")
        };
        let status = self.status();
        let mut json = format!(
            "{{\"type\":\"https://iana.org/assignments/http-problem-types#{kind}\",\"title\":\"{title}\",\"status\":{}",
            status.as_u16()
        );
        json.push_str(",\"detail\":\"");
        // Writing to a string cannot fail.
        let _ = write!(json, "{self}");
        json.push_str("\",\"violated-policies\":[");
        for (i, decision) in self.0.iter().enumerate() {
            // The name of a policy has neither quotes nor backslashes nor control characters.
            let _ = write!(json, "{}\"{}\"", if i > 0 { "," } else { "" }, decision.policy());
        }
        json.push_str("]}");
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.complete(response.headers_mut());
        response
    }

    /// What a refusal says in its headers, where they do not say it yet.
    pub(crate) fn complete(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(header::CACHE_CONTROL) {
            // What one client is told is not true of another.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let (Some(wait), false) = (self.retry_after(), headers.contains_key(header::RETRY_AFTER)) {
            headers.insert(header::RETRY_AFTER, number::value(whole_seconds(wait).max(1)));
        }
    }
}

/// In plain words, for the client.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unknown() {
            return f.write_str("Requests cannot be counted at the moment");
        }
        let Some(strictest) = self.strictest() else { return Ok(()) };
        let (limit, window) = (strictest.limit(), InWords(strictest.quota().window()));
        write!(f, "No more than {limit} request{} in {window}", if limit == 1 { "" } else { "s" })?;
        match strictest.retry_after() {
            Some(wait) => write!(f, "; try again in {} s", whole_seconds(wait).max(1)),
            None => f.write_str("; this request is larger than that and is never admitted"),
        }
    }
}

/// A length of time as people say it, in the largest unit that divides it: `1 minute`, `90 seconds`, `500 ms`.
struct InWords(Duration);

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
        let seconds = self.0.as_secs();
        if self.0.subsec_nanos() > 0 || seconds == 0 {
            return write!(f, "{} ms", self.0.as_secs_f64() * 1000.0);
        }
        let (size, unit) = UNITS.into_iter().find(|(size, _)| seconds.is_multiple_of(*size)).unwrap_or((1, "second"));
        let count = seconds / size;
        write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_said_in_words() {
        let words = |micros| InWords(Duration::from_micros(micros)).to_string();
        assert_eq!(words(500_000), "500 ms");
        assert_eq!(words(1_500), "1.5 ms");
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
