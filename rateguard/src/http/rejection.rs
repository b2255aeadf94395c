//! The answer in place of the handler's.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::setup_error::Misuse;
use crate::decision::Decision;
use crate::http::denied::{Denied, OnDenied};
use crate::http::problem::{Refusal, Refused};

/// A request that was not let through.
///
/// As a response it is `429 Too Many Requests` with `Retry-After`; `503 Service Unavailable` where the store cannot be
/// asked and the policy is [`OnError::Closed`](crate::OnError::Closed); or `500` where the program is not set up for
/// the limit. The body is a problem document (RFC 9457), unless the refusal is that of a layer or an attribute for which
/// [`on_denied`](crate::RateGuardBuilder::on_denied) answers.
#[derive(Clone, Debug)]
pub struct RateLimited(Box<Reason>);

#[derive(Clone, Debug)]
enum Reason {
    Refused(Refused),
    /// The program answers for itself.
    Answered(Arc<Denied>, OnDenied),
    Misuse(Misuse),
}

/// The request, for the program's own answer: the kinds of the keys that the decisions are about, and its head.
pub(super) type Subject = (Vec<Cow<'static, str>>, Parts);

/// The answer to a request that these decisions refuse; `None` if all of them admit it. Only if the program answers itself
/// is anything asked about the request.
pub(super) fn answer(
    decisions: &[Decision],
    on_denied: Option<&OnDenied>,
    request: impl FnOnce() -> Option<Subject>,
) -> Option<Response> {
    let refusal = Refusal::of(decisions)?;
    Some(match on_denied.and_then(|on_denied| Some((on_denied, request()?))) {
        None => refusal.problem(),
        Some((on_denied, (kinds, head))) => on_denied.answer(&Denied::new(refusal, decisions, kinds, head)),
    })
}

impl RateLimited {
    /// `None` if all of them admit the request.
    pub(super) fn of(decisions: &[Decision]) -> Option<RateLimited> {
        Some(RateLimited(Box::new(Reason::Refused(Refusal::of(decisions)?.keep()))))
    }

    /// What [`answer`] is, to be answered later.
    pub(super) fn answered(
        decisions: &[Decision],
        on_denied: Option<&OnDenied>,
        request: impl FnOnce() -> Option<Subject>,
    ) -> Option<RateLimited> {
        let refusal = Refusal::of(decisions)?;
        let reason = match on_denied.and_then(|on_denied| Some((on_denied, request()?))) {
            None => Reason::Refused(refusal.keep()),
            Some((on_denied, (kinds, head))) => {
                Reason::Answered(Arc::new(Denied::new(refusal, decisions, kinds, head)), on_denied.clone())
            }
        };
        Some(RateLimited(Box::new(reason)))
    }

    /// The decisions that refuse. Empty if the program is not set up for the limit.
    pub fn decisions(&self) -> &[Decision] {
        match &*self.0 {
            Reason::Refused(refused) => refused.decisions(),
            Reason::Answered(denied, _) => denied.decisions(),
            Reason::Misuse(_) => &[],
        }
    }

    /// How long to wait until none of them refuses any more. `None` if that never comes, or nothing refused.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal()?.retry_after()
    }

    fn refusal(&self) -> Option<Refusal<'_>> {
        Refusal::of(self.decisions())
    }
}

impl Decision {
    /// `Err` with the answer to send if the request may not go on: `limiter.check(&policy, &key).await.into_result()?`
    ///
    /// It is the library's own answer, since the limiter has not seen the request.
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
        match self.refusal() {
            Some(refusal) => refusal.fmt(f),
            None => f.write_str("The rate limit is not set up"),
        }
    }
}

impl std::error::Error for RateLimited {}

impl IntoResponse for RateLimited {
    fn into_response(self) -> Response {
        match *self.0 {
            Reason::Refused(refused) => refused.refusal().problem(),
            Reason::Answered(denied, on_denied) => on_denied.answer(&denied),
            Reason::Misuse(misuse) => misuse.response(),
        }
    }
}
