//! The answer in place of the handler's.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::headers::whole_seconds;
use super::misuse::Misuse;
use crate::decision::Decision;

/// A request that was not let through.
///
/// As a response it is `429 Too Many Requests` with `Retry-After`; `503 Service Unavailable` where the store cannot be
/// asked and the policy is [`OnError::Closed`](crate::OnError::Closed); or `500` where the program is not set up for
/// the limit. The body is a problem document (RFC 9457).
#[derive(Clone, Debug)]
pub struct RateLimited(Box<Reason>);

#[derive(Clone, Debug)]
enum Reason {
    Refused(Vec<Decision>),
    Misuse(Misuse),
}

impl RateLimited {
    /// `None` if all of them admit the request.
    pub(super) fn of(decisions: &[Decision]) -> Option<RateLimited> {
        if decisions.iter().all(Decision::allowed) {
            return None;
        }
        let refusing = decisions.iter().filter(|decision| !decision.allowed()).cloned().collect();
        Some(RateLimited(Box::new(Reason::Refused(refusing))))
    }

    /// The decisions that refuse. Empty if the program is not set up for the limit.
    pub fn decisions(&self) -> &[Decision] {
        match &*self.0 {
            Reason::Refused(decisions) => decisions,
            Reason::Misuse(_) => &[],
        }
    }

    /// How long to wait until none of them refuses any more. `None` if that never comes, or nothing refused.
    pub fn retry_after(&self) -> Option<Duration> {
        self.decisions().iter().map(Decision::retry_after).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    fn status(&self) -> StatusCode {
        match &*self.0 {
            Reason::Misuse(_) => StatusCode::INTERNAL_SERVER_ERROR,
            // A quota that is known to be spent is the better answer.
            Reason::Refused(decisions) if decisions.iter().all(Decision::is_unknown) => StatusCode::SERVICE_UNAVAILABLE,
            Reason::Refused(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The problem document, in the types that the draft of the `RateLimit` header registers.
    fn problem(&self, status: StatusCode) -> String {
        let (kind, title) = if status == StatusCode::SERVICE_UNAVAILABLE {
            ("temporary-reduced-capacity", "The request cannot be admitted at the moment")
        } else {
            ("quota-exceeded", "The quota for these requests is spent")
        };
        let mut json = format!(
            "{{\"type\":\"https://iana.org/assignments/http-problem-types#{kind}\",\"title\":\"{title}\",\"status\":{}",
            status.as_u16()
        );
        json.push_str(",\"detail\":\"");
        // Writing to a string cannot fail.
        let _ = write!(json, "{self}");
        json.push_str("\",\"violated-policies\":[");
        for (i, decision) in self.decisions().iter().enumerate() {
            // The name of a policy has neither quotes nor backslashes nor control characters.
            let _ = write!(json, "{}\"{}\"", if i > 0 { "," } else { "" }, decision.policy());
        }
        json.push_str("]}");
        json
    }
}

impl Decision {
    /// `Err` with the answer to send if the request may not go on: `limiter.check(&policy, &key).await.into_result()?`
    ///
    /// # Errors
    ///
    /// When the request is not [`allowed`](Decision::allowed).
    pub fn into_result(self) -> Result<(), RateLimited> {
        RateLimited::of(std::slice::from_ref(&self)).map_or(Ok(()), Err)
    }
}

impl From<Misuse> for RateLimited {
    fn from(misuse: Misuse) -> RateLimited {
        RateLimited(Box::new(Reason::Misuse(misuse)))
    }
}

impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, ..] = self.decisions() else {
            return f.write_str("The rate limit is not set up");
        };
        if self.decisions().iter().all(Decision::is_unknown) {
            return f.write_str("Requests cannot be counted at the moment");
        }
        let strictest = self.decisions().iter().max_by_key(|decision| decision.retry_after()).unwrap_or(first);
        let (limit, window) = (strictest.limit(), strictest.quota().window());
        write!(f, "No more than {limit} requests in {window:?}")?;
        match self.retry_after() {
            Some(wait) => write!(f, "; try again in {} s", whole_seconds(wait).max(1)),
            None => f.write_str("; this request is larger than that and is never admitted"),
        }
    }
}

impl std::error::Error for RateLimited {}

impl IntoResponse for RateLimited {
    fn into_response(self) -> Response {
        if let Reason::Misuse(misuse) = &*self.0 {
            return misuse.response();
        }
        let status = self.status();
        let mut response = Response::new(Body::from(self.problem(status)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait).max(1)));
        }
        response
    }
}
