//! The service that the layer makes.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use axum::http::Request;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use tower_service::Service;

use super::client_ip::ClientIp;
use super::config::Config;
use super::context::{self, Asked, Context, Refunds, begin};
use super::extract::{Head, Said, captured};
use super::future::RateLimitFuture;
use super::grpc::Call;
use super::rejection;
use super::setup_error::SetupError;
use super::user_id::UserId;
use crate::limiter::{Checking, Decisions};
use crate::rate_guard::RateGuard;
use crate::telemetry;

/// Limits the requests to an inner service. Made by [`RateLimitLayer`](super::RateLimitLayer).
#[derive(Clone)]
pub struct RateLimitService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> RateLimitService<S> {
    pub(super) fn new(inner: S, config: Arc<Config>) -> RateLimitService<S> {
        RateLimitService { inner, config }
    }
}

impl<S, B> Service<Request<B>> for RateLimitService<S>
where
    S: Service<Request<B>> + Clone,
    S::Response: IntoResponse,
{
    type Response = Response;
    type Error = S::Error;
    type Future = RateLimitFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> RateLimitFuture<S, B> {
        let (mut parts, body) = request.into_parts();
        let Config { limiter, limits, headers, on_denied, .. } = &*self.config;
        let by_user = limits.iter().any(|limit| limit.key.needs_user());
        let lacks_user = by_user && parts.extensions.get::<UserId>().is_none();
        let outer = parts.extensions.get::<Context>().cloned();
        // The outermost layer writes them.
        let headers = outer.is_none().then(|| headers.unwrap_or(limiter.http().headers));
        let left = outer.as_ref().map_or(limiter.limiter().deadline(), |outer| outer.left(limiter));
        let (checking, refunds, address) = match self.begin(&mut parts, left) {
            Ok(begun) => begun,
            Err(response) => {
                self.give_back_ready();
                return RateLimitFuture::denied(response, outer.as_ref().and_then(Context::denied));
            }
        };
        let (decisions, later) = match checking {
            Checking::Done(decisions) => (decisions, None),
            Checking::Asked(later) => (Decisions::new(), Some(later)),
        };
        let on_denied = on_denied.as_ref().or_else(|| outer.as_ref()?.on_denied_of_layers());
        let answer = rejection::answer(&decisions, on_denied.or(limiter.http().on_denied.as_ref()), &mut parts);
        if let Some(mut response) = answer {
            let giving_back = if let Some(outer) = outer {
                outer.record(decisions, refunds);
                outer.denied()
            } else {
                context::finish(&mut response, headers.unwrap_or_default(), decisions.into_iter());
                None
            };
            self.give_back_ready();
            return RateLimitFuture::denied(response, giving_back);
        }
        // Only for requests that go on, since it costs allocations.
        let context = Context::new(limiter.clone(), on_denied.cloned(), lacks_user, outer.as_ref());
        parts.extensions.insert(context.clone());
        let is_told =
            outer.is_some_and(|outer| outer.limiter().is(limiter)) && parts.extensions.get::<ClientIp>().is_some();
        if !is_told {
            tell_client_ip(limiter, &mut parts, address);
        }
        let request = Request::from_parts(parts, body);
        let Some(later) = later else {
            context.record(decisions, refunds);
            return RateLimitFuture::calling(self.inner.call(request), context, headers);
        };
        // The service that is ready goes with the request; its clone stays here.
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        RateLimitFuture::checking(later, refunds, (ready, request), context, headers)
    }
}

/// Puts the client's address, as this limiter counts it, into the request's extensions.
fn tell_client_ip(limiter: &RateGuard, parts: &mut Parts, known: Option<IpAddr>) {
    let address = known.or_else(|| Head::new(parts, None, "ClientIp", limiter.http()).address().ok());
    match address {
        Some(address) => drop(parts.extensions.insert(ClientIp(address))),
        // Not that of another limiter.
        None => drop(parts.extensions.remove::<ClientIp>()),
    }
}

impl<S: Clone> RateLimitService<S> {
    /// The service that said it was ready may hold a permit, which this request does not need any more.
    fn give_back_ready(&mut self) {
        self.inner = self.inner.clone();
    }
}

impl<S> RateLimitService<S> {
    /// Starts the check of the layer's own limits. With the client's address, if a limit needs it. The error is the answer
    /// where nothing can be counted.
    #[expect(clippy::result_large_err, reason = "an answer, which a box would cost an allocation")]
    fn begin(&self, parts: &mut Parts, left: Duration) -> Result<(Checking, Refunds, Option<IpAddr>), Response> {
        let Config { limiter, limits, skip, exempt, .. } = &*self.config;
        if skip.as_ref().is_some_and(|skip| skip(parts)) {
            for limit in limits {
                telemetry::skipped(&limit.policy);
            }
            return Ok((Checking::Done(Decisions::new()), Refunds::new(), None));
        }
        let path = captured(parts, limits)?;
        let head = Head::new(parts, path.as_ref(), "a RateLimitLayer", limiter.http());
        let wrong =
            |error: SetupError| error.response(limiter.http().on_setup_error.as_ref(), Call::of(head.parts()).as_ref());
        if head.is_exempt(exempt).map_err(wrong)? {
            for limit in limits {
                telemetry::skipped(&limit.policy);
            }
            return Ok((Checking::Done(Decisions::new()), Refunds::new(), head.known_address()));
        }
        let mut asked = Asked::new();
        for limit in limits {
            match head.says(limit).map_err(wrong)? {
                Said::Counted(ask) => asked.push(ask),
                // A layer's limit has no arguments to wait for.
                Said::Skipped | Said::Deferred => telemetry::skipped(&limit.policy),
            }
        }
        let (checking, refunds) = begin(limiter, &asked, left);
        Ok((checking, refunds, head.known_address()))
    }
}

impl<S: fmt::Debug> fmt::Debug for RateLimitService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RateLimitService");
        debug.field("inner", &self.inner);
        self.config.debug(debug)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::task::Waker;

    use axum::Router;
    use axum::body::Body;
    use axum::extract::ConnectInfo;

    use super::*;
    use crate::{KeyBy, Quota, RateLimitLayer};

    #[test]
    fn an_address_that_cannot_be_read_is_counted_once() {
        let limiter = RateGuard::builder().memory().trusted_proxies(["192.0.2.0/24"]).build().unwrap();
        let layer = RateLimitLayer::new(limiter.clone()).limit("all", Quota::per_minute(9), KeyBy::Ip);
        let mut service = tower_layer::Layer::layer(&layer, Router::<()>::new());
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        request.headers_mut().insert("x-forwarded-for", "unknown".parse().unwrap());
        let mut answer = Box::pin(service.call(request));
        assert!(answer.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_ready());
        assert_eq!(limiter.http().client_ip.unreadable_count(), 1);
    }
}
