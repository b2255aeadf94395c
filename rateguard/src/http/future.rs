//! The service's future: check, call, write the headers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::context::Exchange;
use super::layer::take_head;
use super::refund::GivingBack;
use super::rejection;
use super::upload;
use crate::http::headers::Headers;
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
        exchange: Option<Exchange>,
        // None but in the layer that a request met first.
        headers: Headers,
    }
}

pin_project! {
    #[project = StateProjection]
    #[allow(clippy::large_enum_variant, reason = "boxing would cost every request an allocation")]
    enum State<S, B, F> {
        Checking {
            checking: Later,
            call: Option<(S, Request<B>)>,
        },
        Calling { #[pin] response: F },
        // Rare, so it may cost an allocation.
        Refunding { refund: GivingBack, response: Option<Response> },
        Answered { response: Option<Response> },
    }
}

impl<S, B> RateLimitFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn checking(checking: Later, call: (S, Request<B>), exchange: Exchange, headers: Headers) -> Self {
        let state = State::Checking { checking, call: Some(call) };
        RateLimitFuture { state, exchange: Some(exchange), headers }
    }

    pub(super) fn calling(response: S::Future, exchange: Exchange, headers: Headers) -> Self {
        RateLimitFuture { state: State::Calling { response }, exchange: Some(exchange), headers }
    }

    /// A denial, once what layers further out have charged is given back.
    pub(super) fn denied(response: Response, refund: Option<GivingBack>) -> Self {
        match refund {
            None => RateLimitFuture::answered(response),
            Some(refund) => {
                let state = State::Refunding { refund, response: Some(response) };
                RateLimitFuture { state, exchange: None, headers: Headers::NONE }
            }
        }
    }

    /// With the quota headers in it.
    pub(super) fn answered(response: Response) -> Self {
        RateLimitFuture { state: State::Answered { response: Some(response) }, exchange: None, headers: Headers::NONE }
    }
}

impl<S, B> Future for RateLimitFuture<S, B>
where
    S: Service<Request<B>>,
    S::Response: IntoResponse,
{
    type Output = Result<Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut response = loop {
            match this.state.as_mut().project() {
                StateProjection::Checking { checking, call } => {
                    let settled = ready!(checking.as_mut().poll(cx));
                    let Some((mut service, request)) = call.take() else { return Poll::Ready(Ok(out_of_turn())) };
                    let (mut parts, body) = request.into_parts();
                    let exchange = this.exchange.as_ref();
                    let decisions = match exchange {
                        Some(exchange) => exchange.settled(settled),
                        None => settled.decisions,
                    };
                    let cut_off = upload::is_cut_off(&decisions, &parts);
                    let on_denied = exchange.and_then(Exchange::on_denied);
                    let request = || Some((exchange?.kinds(), take_head(&mut parts)));
                    let mut response = rejection::answer(&decisions, on_denied, request);
                    if let (Some(response), true) = (&mut response, cut_off) {
                        upload::cut_off(response);
                    }
                    let refund = match (exchange, &response) {
                        (None, _) => None,
                        (Some(exchange), None) => {
                            exchange.allowed(decisions);
                            None
                        }
                        (Some(exchange), Some(_)) => {
                            exchange.record(decisions);
                            exchange.denied()
                        }
                    };
                    let next = match (response, refund) {
                        (None, _) => State::Calling { response: service.call(Request::from_parts(parts, body)) },
                        (response, None) => State::Answered { response },
                        (response, Some(refund)) => State::Refunding { refund, response },
                    };
                    this.state.set(next);
                }
                StateProjection::Calling { response } => {
                    let response = ready!(response.poll(cx))?.into_response();
                    match this.exchange.as_ref().and_then(|exchange| exchange.refund(&response)) {
                        None => break response,
                        Some(refund) => {
                            this.state.set(State::Refunding { refund: Box::pin(refund), response: Some(response) });
                        }
                    }
                }
                StateProjection::Refunding { refund, response } => {
                    ready!(refund.as_mut().poll(cx));
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
        if let (Some(exchange), true) = (this.exchange, *this.headers != Headers::NONE) {
            exchange.write_headers(&mut response, *this.headers);
        }
        Poll::Ready(Ok(response))
    }
}

/// What cannot be: there is nothing to call or to answer with any more. No request is served, and none waits for ever.
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

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            std::future::pending()
        }
    }

    #[test]
    fn after_its_answer_it_serves_nothing_and_does_not_hang() {
        let mut future = Box::pin(RateLimitFuture::<Nobody, Body>::answered(Response::default()));
        let mut poll = || future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
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
