//! The service's future: check, call, write the headers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::context::{Context, GivingBack, Refunds};
use super::headers::Headers;
use super::rejection;
use crate::limiter::Later;

pin_project! {
    /// The future of [`RateLimitService`](super::RateLimitService).
    pub struct RateLimitFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
        // None if the request did not get that far.
        context: Option<Context>,
        // None if an outer layer finishes the response.
        headers: Option<Headers>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[allow(clippy::large_enum_variant, reason = "boxing would cost every request an allocation")]
    enum State<S, B, F> {
        Checking {
            checking: Later,
            refunds: Refunds,
            call: Option<(S, Request<B>)>,
        },
        Calling { #[pin] response: F },
        // Rare, so it may cost an allocation.
        GivingBack { giving_back: GivingBack, response: Option<Response> },
        Answered { response: Option<Response> },
    }
}

impl<S, B> RateLimitFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn checking(
        checking: Later,
        refunds: Refunds,
        call: (S, Request<B>),
        context: Context,
        headers: Option<Headers>,
    ) -> Self {
        let state = State::Checking { checking, refunds, call: Some(call) };
        RateLimitFuture { state, context: Some(context), headers }
    }

    pub(super) fn calling(response: S::Future, context: Context, headers: Option<Headers>) -> Self {
        RateLimitFuture { state: State::Calling { response }, context: Some(context), headers }
    }

    /// A denial, once what outer layers have charged is given back.
    pub(super) fn denied(response: Response, giving_back: Option<GivingBack>) -> Self {
        match giving_back {
            None => RateLimitFuture::answered(response),
            Some(giving_back) => {
                let state = State::GivingBack { giving_back, response: Some(response) };
                RateLimitFuture { state, context: None, headers: None }
            }
        }
    }

    /// With the quota headers in it.
    pub(super) fn answered(response: Response) -> Self {
        RateLimitFuture { state: State::Answered { response: Some(response) }, context: None, headers: None }
    }
}

impl<S, B> Future for RateLimitFuture<S, B>
where
    S: Service<Request<B>>,
    S::Response: IntoResponse,
{
    type Output = Result<Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut response = loop {
            match this.state.as_mut().project() {
                StateProjection::Checking { checking, refunds, call } => {
                    let settled = ready!(checking.as_mut().poll(cx));
                    let (Some((mut service, request)), Some(context)) = (call.take(), this.context.as_ref()) else {
                        return Poll::Ready(Ok(out_of_turn()));
                    };
                    let (mut parts, body) = request.into_parts();
                    let decisions = context.settled(settled);
                    let response = rejection::answer(&decisions, context.on_denied(), &mut parts);
                    context.record(decisions, std::mem::take(refunds));
                    let next = if response.is_none() {
                        State::Calling { response: service.call(Request::from_parts(parts, body)) }
                    } else {
                        match context.denied() {
                            None => State::Answered { response },
                            Some(giving_back) => State::GivingBack { giving_back, response },
                        }
                    };
                    this.state.set(next);
                }
                StateProjection::Calling { response } => {
                    let response = ready!(response.poll(cx))?.into_response();
                    match this.context.as_ref().and_then(|context| context.responded(&response)) {
                        None => break response,
                        Some(giving_back) => {
                            this.state.set(State::GivingBack { giving_back, response: Some(response) });
                        }
                    }
                }
                StateProjection::GivingBack { giving_back, response } => {
                    ready!(giving_back.as_mut().poll(cx));
                    match response.take() {
                        Some(response) => break response,
                        None => return Poll::Ready(Ok(out_of_turn())),
                    }
                }
                StateProjection::Answered { response } => match response.take() {
                    Some(response) => break response,
                    None => return Poll::Ready(Ok(out_of_turn())),
                },
            }
        };
        if let (Some(context), Some(headers)) = (this.context, *this.headers) {
            context.finish(&mut response, headers);
        }
        Poll::Ready(Ok(response))
    }
}

/// There is nothing left to call or to answer with, which cannot happen. No request is served, and none waits forever.
#[cold]
fn out_of_turn() -> Response {
    debug_assert!(false, "a RateLimitFuture was polled after it had answered");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

impl<S, B> std::fmt::Debug for RateLimitFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RateLimitFuture")
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::task::Waker;

    use axum::body::Body;

    use super::*;

    /// A service that is never called.
    struct Nobody;

    impl Service<Request<Body>> for Nobody {
        type Response = Response;
        type Error = Infallible;
        type Future = std::future::Pending<Result<Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            std::future::pending()
        }
    }

    #[test]
    fn after_its_answer_it_serves_nothing_and_does_not_hang() {
        let mut future = Box::pin(RateLimitFuture::<Nobody, Body>::answered(Response::default()));
        let mut poll = || future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()));
        assert!(matches!(poll(), Poll::Ready(Ok(response)) if response.status() == StatusCode::OK));
        // Debug builds say so.
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Ready(Ok(response))) => assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE),
            Ok(_) => panic!("it hangs"),
            Err(said) if !cfg!(debug_assertions) => resume_unwind(said),
            Err(_) => {}
        }
    }
}
