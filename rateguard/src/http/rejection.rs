//! The answer in place of the handler's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};

use super::denial::Denial;
use super::denied::Denied;
use super::grpc::Call;
use super::setup_error::{OnSetupError, SetupError};
use super::upload;
use crate::decision::Decision;

/// The program's own answer to denied requests.
#[derive(Clone)]
#[allow(clippy::type_complexity, reason = "a closure over a denial, once")]
pub(crate) struct OnDenied(Arc<dyn Fn(&Denied) -> Response + Send + Sync>);

impl OnDenied {
    pub(crate) fn new<R: IntoResponse>(answer: impl Fn(&Denied) -> R + Send + Sync + 'static) -> OnDenied {
        OnDenied(Arc::new(move |denied| answer(denied).into_response()))
    }

    /// The answer, with the headers of a denial that the closure did not set.
    fn answer(&self, denial: &Denial, denied: &Denied) -> Response {
        let mut response = (self.0)(denied);
        denial.complete(response.headers_mut());
        response
    }
}

impl fmt::Debug for OnDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("on_denied(..)")
    }
}

/// The answer to a request that these decisions deny; `None` if all of them allow it. A denied request goes no further, so
/// its head is taken where the program answers for itself.
pub(super) fn answer(decisions: &[Decision], on_denied: Option<&OnDenied>, head: &mut Parts) -> Option<Response> {
    let denial = Denial::of(decisions)?;
    let is_cut_off = upload::is_on_its_way(head);
    let mut response = match on_denied {
        None => denial.response(Call::of(head).as_ref()),
        Some(on_denied) => {
            let head = std::mem::replace(head, Request::new(()).into_parts().0);
            on_denied.answer(&denial, &Denied::new(denial.clone(), head))
        }
    };
    if is_cut_off {
        upload::cut_off(&mut response);
    }
    Some(response)
}

/// What is kept of a request, to answer it later.
#[derive(Clone)]
pub(super) enum Kept {
    /// The whole head, for the program's own answer.
    Head(Parts),
    Call(Option<Call>),
}

impl Kept {
    pub(super) fn of(head: &Parts, on_denied: Option<&OnDenied>) -> Kept {
        if on_denied.is_some() { Kept::Head(head.clone()) } else { Kept::Call(Call::of(head)) }
    }

    pub(super) fn call(&self) -> Option<Call> {
        match self {
            Kept::Head(head) => Call::of(head),
            Kept::Call(call) => call.clone(),
        }
    }
}

/// A request that was denied.
///
/// As a response it is `429 Too Many Requests` with `Retry-After`; `503 Service Unavailable` where the store cannot be
/// asked and the policy is [`OnError::Closed`](crate::OnError::Closed); or `500` where the program is not set up for the
/// limit. The body is a problem document (RFC 9457), unless [`on_denied`](crate::RateGuardBuilder::on_denied) answers for
/// the layer or the attribute that denied. A [gRPC](crate::guide::grpc) call gets a status of gRPC instead.
#[derive(Clone, Debug)]
pub struct RateLimited {
    reason: Box<Reason>,
    /// Whether the handler decides what it answers.
    of_handler: bool,
}

/// In the extensions of a response: the handler answers with a denial, so the request spends nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeniedByHandler;

#[derive(Clone, Debug)]
enum Reason {
    Denied(Denial, Option<Call>),
    /// The program answers for itself.
    OnDenied(Denial, Arc<Denied>, OnDenied),
    Setup(SetupError, Option<OnSetupError>, Option<Call>),
}

impl RateLimited {
    /// As [`answer`], to be answered later. `None` if all of the decisions allow the request.
    pub(super) fn new(
        decisions: &[Decision],
        on_denied: Option<&OnDenied>,
        kept: impl FnOnce() -> Kept,
    ) -> Option<RateLimited> {
        let denial = Denial::of(decisions)?;
        let reason = match (kept(), on_denied) {
            (Kept::Head(head), Some(on_denied)) => {
                let denied = Arc::new(Denied::new(denial.clone(), head));
                Reason::OnDenied(denial, denied, on_denied.clone())
            }
            (kept, _) => Reason::Denied(denial, kept.call()),
        };
        Some(RateLimited { reason: Box::new(reason), of_handler: false })
    }

    pub(super) fn not_set_up(error: SetupError, answer: Option<&OnSetupError>, call: Option<Call>) -> RateLimited {
        RateLimited { reason: Box::new(Reason::Setup(error, answer.cloned(), call)), of_handler: false }
    }

    /// The same, for a handler that may answer otherwise.
    pub(super) fn of_handler(self) -> RateLimited {
        RateLimited { of_handler: true, ..self }
    }

    /// The library's own answer to this call.
    #[cfg(feature = "tonic")]
    pub(super) fn answered(&self, call: &Call) -> Response {
        match &*self.reason {
            Reason::Denied(denial, _) | Reason::OnDenied(denial, ..) => denial.response(Some(call)),
            Reason::Setup(error, ..) => error.response(None, Some(call)),
        }
    }

    fn denial(&self) -> Option<&Denial> {
        match &*self.reason {
            Reason::Denied(denial, _) | Reason::OnDenied(denial, ..) => Some(denial),
            Reason::Setup(..) => None,
        }
    }

    /// The decisions that deny. Empty if the program is not set up for the limit.
    pub fn decisions(&self) -> &[Decision] {
        self.denial().map_or(&[], Denial::decisions)
    }

    /// How long to wait until none of them denies any more. `None` if that never comes, or nothing denied.
    pub fn retry_after(&self) -> Option<Duration> {
        self.denial()?.retry_after()
    }

    /// Whether waiting does not help: the cost is above the limit.
    pub fn never(&self) -> bool {
        self.denial().is_some_and(Denial::never)
    }

    /// Whether this process decided, or the failure policy, since the store gave no answer. With the status `429` this
    /// process has counted a whole quota; with `503` nothing was counted.
    pub fn degraded(&self) -> bool {
        self.decisions().iter().any(Decision::degraded)
    }

    /// The status of the response, unless the program [answers for itself](crate::RateGuardBuilder::on_denied): `429`,
    /// `503` or `500`. The answer to a [gRPC](crate::guide::grpc) call has the code of gRPC for it.
    pub fn status(&self) -> StatusCode {
        self.denial().map_or(StatusCode::INTERNAL_SERVER_ERROR, Denial::status)
    }
}

impl Decision {
    /// The decision itself if the request is allowed, otherwise the response to send:
    /// `limiter.check(&policy, &key).await.into_result()?`
    ///
    /// It is the library's own response, since the limiter has not seen the request.
    ///
    /// # Errors
    ///
    /// When the request is not [`allowed`](Decision::allowed).
    pub fn into_result(self) -> Result<Decision, RateLimited> {
        match RateLimited::new(std::slice::from_ref(&self), None, || Kept::Call(None)) {
            None => Ok(self),
            Some(denied) => Err(denied),
        }
    }
}

impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denial() {
            Some(denial) => denial.fmt(f),
            None => f.write_str("The rate limit is not set up"),
        }
    }
}

impl std::error::Error for RateLimited {}

impl IntoResponse for RateLimited {
    fn into_response(self) -> Response {
        let mut response = match *self.reason {
            Reason::Denied(denial, call) => denial.response(call.as_ref()),
            Reason::OnDenied(denial, denied, on_denied) => on_denied.answer(&denial, &denied),
            Reason::Setup(error, answer, call) => error.response(answer.as_ref(), call.as_ref()),
        };
        if self.of_handler {
            response.extensions_mut().insert(DeniedByHandler);
        }
        response
    }
}
