//! A refusal as the program sees it that answers for itself.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::decision::Decision;
use crate::http::problem::{Refusal, Refused};
use crate::quota::Quota;

/// A request that is refused: what the closure of [`on_denied`](crate::RateGuardBuilder::on_denied) makes its response
/// of.
///
/// It knows what sort of identity was counted, and not the identity itself.
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
    refused: Refused,
    /// What sort of key each of the decisions is about.
    kinds: Vec<Cow<'static, str>>,
    head: Parts,
}

impl Denied {
    /// `kinds` are those of all of these decisions, in their order.
    pub(crate) fn new(
        refusal: Refusal<'_>,
        decisions: &[Decision],
        kinds: impl IntoIterator<Item = Cow<'static, str>>,
        head: Parts,
    ) -> Denied {
        let refuses = |(decision, kind): (&Decision, _)| (!decision.allowed()).then_some(kind);
        Denied { refused: refusal.keep(), kinds: decisions.iter().zip(kinds).filter_map(refuses).collect(), head }
    }

    /// The name of the policy that refuses; of several, the one that does so longest.
    pub fn policy(&self) -> &str {
        self.refusal().strictest().map_or("", Decision::policy)
    }

    /// The quota of that [policy](Denied::policy). `None` never happens in a refusal that the library made.
    pub(crate) fn strictest_quota(&self) -> Option<Quota> {
        self.refusal().strictest().map(Decision::quota)
    }

    /// What sort of identity that [policy](Denied::policy) counts: `"ip"`, `"user"`, `"header.x-api-key"`,
    /// `"cookie.session"`, `"path.tenant"`, `"global"`, `"composite"` for several as one, `"key"` for what an
    /// expression gave, or the kind of a [`Key`](crate::Key) of one's own. A client without the identity asked for is
    /// counted by its address, and `"ip"` it is then.
    pub fn key_kind(&self) -> &str {
        let strictest = self.refusal().strictest();
        let at = self.decisions().iter().position(|decision| strictest.is_some_and(|it| std::ptr::eq(it, decision)));
        at.and_then(|at| self.kinds.get(at)).map_or("", AsRef::as_ref)
    }

    /// Units that the [policy](Denied::policy) admits in a window.
    pub fn limit(&self) -> u32 {
        self.strictest_quota().map_or(0, |quota| quota.limit())
    }

    /// The length of the window of that [policy](Denied::policy).
    pub fn window(&self) -> Duration {
        self.strictest_quota().map_or(Duration::ZERO, |quota| quota.window())
    }

    /// How long to wait until the same request would be allowed, if nobody else used the key. `None` if it never will
    /// be, since its cost is above the limit.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal().retry_after()
    }

    /// `429 Too Many Requests`; or `503 Service Unavailable` where the store cannot be asked and the policy is
    /// [`OnError::Closed`](crate::OnError::Closed).
    pub fn status(&self) -> StatusCode {
        self.refusal().status()
    }

    /// The decisions that refuse. At least one.
    pub fn decisions(&self) -> &[Decision] {
        self.refused.decisions()
    }

    /// The request's head: method, URI, headers, and what layers further out have put into the extensions.
    pub fn head(&self) -> &Parts {
        &self.head
    }

    /// What would be answered without the closure: the problem document, with `Retry-After` and `Cache-Control:
    /// no-store`. To build upon, or for the requests that the closure has nothing special for.
    pub fn default_response(&self) -> Response {
        self.refusal().problem()
    }

    pub(crate) fn refusal(&self) -> Refusal<'_> {
        self.refused.refusal()
    }
}

/// In plain words, as in the problem document's `detail`: `No more than 5 requests in 1 minute; try again in 42 s`.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal().fmt(f)
    }
}

/// Shows nothing that the request brought along.
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

/// A closure that answers for the library.
#[derive(Clone)]
#[allow(clippy::type_complexity, reason = "a closure over a refusal, once")]
pub(crate) struct OnDenied(Arc<dyn Fn(&Denied) -> Response + Send + Sync>);

impl OnDenied {
    pub(crate) fn new<R: IntoResponse>(answer: impl Fn(&Denied) -> R + Send + Sync + 'static) -> OnDenied {
        OnDenied(Arc::new(move |denied| answer(denied).into_response()))
    }

    /// Its answer, with what a refusal says in its headers where the closure did not.
    pub(crate) fn answer(&self, denied: &Denied) -> Response {
        let mut response = (self.0)(denied);
        denied.refusal().complete(response.headers_mut());
        response
    }
}

impl fmt::Debug for OnDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("on_denied(..)")
    }
}
