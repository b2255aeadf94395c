//! A denial, as `on_denied` sees it.

use std::fmt;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

use super::denial::Denial;
use super::grpc::Call;
use crate::decision::Decision;
use crate::key::Key;

use crate::quota::Quota;

/// A request that is denied: what the closure of [`on_denied`](crate::RateGuardBuilder::on_denied) makes its response of.
///
/// ```
/// use axum::http::header;
/// use axum::response::{Html, IntoResponse};
/// use rateguard::{Denied, RateGuard};
///
/// let limiter = RateGuard::builder()
///     .on_denied(|denied: &Denied| {
///         let accept = denied.head().headers.get(header::ACCEPT);
///         if accept.is_some_and(|accept| accept.as_bytes().starts_with(b"text/html")) {
///             (denied.status(), Html(format!("<h1>Slow down</h1><p>{denied}.</p>"))).into_response()
///         } else {
///             denied.default_response()
///         }
///     })
///     .build()?;
/// # Ok::<(), rateguard::ConfigError>(())
/// ```
pub struct Denied {
    denial: Denial,
    head: Parts,
}

impl Denied {
    pub(super) fn new(denial: Denial, head: Parts) -> Denied {
        Denied { denial, head }
    }

    /// The name of the policy that denies; of several, of the one that does so longest.
    pub fn policy(&self) -> &str {
        self.denial.strictest().map_or("", Decision::policy)
    }

    /// Who that [policy](Denied::policy) counts. A secret in it cannot be read. `None` never happens in a denial that the
    /// library made.
    pub fn key(&self) -> Option<&Key> {
        self.denial.strictest().map(Decision::key)
    }

    /// The [kind](Key::kind) of that key: `"ip"`, `"user"`, `"header.x-api-key"`, `"cookie.session"`, `"path.tenant"`,
    /// `"global"`, `"composite"` for several as one, `"key"` for the value of an expression, or the kind of your own
    /// [`Key`]. A client without the key asked for is counted by its address, so the kind is `"ip"` then.
    pub fn key_kind(&self) -> &str {
        self.key().map_or("", Key::kind)
    }

    /// Units that the [policy](Denied::policy) allows in a window.
    pub fn limit(&self) -> u32 {
        self.quota().map_or(0, |quota| quota.limit())
    }

    /// The length of the window of that [policy](Denied::policy).
    pub fn window(&self) -> Duration {
        self.quota().map_or(Duration::ZERO, |quota| quota.window())
    }

    fn quota(&self) -> Option<Quota> {
        self.denial.strictest().map(Decision::quota)
    }

    /// How long to wait until the same request would be allowed, if nobody else used the key. `None` if that never comes,
    /// since the cost is above the limit.
    pub fn retry_after(&self) -> Option<Duration> {
        self.denial.retry_after()
    }

    /// Whether waiting does not help: the cost is above the limit.
    pub fn never(&self) -> bool {
        self.denial.never()
    }

    /// `429 Too Many Requests`; or `503 Service Unavailable` where the store cannot be asked and the policy is
    /// [`OnError::Closed`](crate::OnError::Closed).
    pub fn status(&self) -> StatusCode {
        self.denial.status()
    }

    /// The decisions that deny. At least one.
    pub fn decisions(&self) -> &[Decision] {
        self.denial.decisions()
    }

    /// The request's head: method, URI, headers, and the extensions that outer layers have set.
    pub fn head(&self) -> &Parts {
        &self.head
    }

    /// Whether the request is a [gRPC](crate::guide::grpc) call, whose client reads neither the HTTP status nor the body.
    pub fn is_grpc(&self) -> bool {
        self.call().is_some()
    }

    fn call(&self) -> Option<Call> {
        Call::of(&self.head)
    }

    /// The answer without the closure: the problem document, or to a [gRPC](crate::guide::grpc) call a status, with
    /// `Retry-After` and `Cache-Control: no-store`. To extend it, or for requests that the closure does not handle.
    pub fn default_response(&self) -> Response {
        self.denial.response(self.call().as_ref())
    }
}

/// In plain words, as in the problem document's `detail`: `No more than 5 requests in 1 minute; try again in 42 s`.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.denial.fmt(f)
    }
}

/// Shows nothing from the request.
impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denied")
            .field("policy", &self.policy())
            .field("key_kind", &self.key_kind())
            .field("status", &self.status())
            .field("retry_after", &self.retry_after())
            .finish_non_exhaustive()
    }
}
