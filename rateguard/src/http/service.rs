//! The service that the layer makes.

use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Request;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use smallvec::SmallVec;
use tower_service::Service;

use super::context::{Counted, Exchange, kinds};
use super::extract::{UserId, captured};
use super::future::RateLimitFuture;
use super::key_by::KeyBy;
use super::layer::{RateLimitLayer, take_head};
use super::quota_fields;
use super::rejection;
use super::setup_error::Misuse;
use super::upload;
use crate::http::headers::Headers;
use crate::key::Key;
use crate::limiter::{Check, Checking, Decisions};
use crate::telemetry;

/// Limits the requests to an inner service. Made by [`RateLimitLayer`].
#[derive(Clone, Debug)]
pub struct RateLimitService<S> {
    pub(super) inner: S,
    pub(super) layer: RateLimitLayer,
}

impl<S, B> Service<Request<B>> for RateLimitService<S>
where
    S: Service<Request<B>> + Clone,
    S::Response: IntoResponse,
{
    type Response = Response;
    type Error = S::Error;
    type Future = RateLimitFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> RateLimitFuture<S, B> {
        let (mut parts, body) = request.into_parts();
        let RateLimitLayer { limiter, own } = &self.layer;
        let by_user = own.limits.iter().any(|(_, by)| matches!(by, KeyBy::User));
        let lacks_user = by_user && parts.extensions.get::<UserId>().is_none();
        let outer = parts.extensions.get::<Exchange>().cloned();
        let headers = match outer {
            Some(_) => Headers::NONE,
            None => own.headers.unwrap_or(limiter.headers()),
        };
        let left = outer.as_ref().map_or(limiter.deadline(), |outer| outer.left(limiter));
        let mut counted = Counted::new();
        let (decisions, later) = match self.begin(&mut parts, left, &mut counted) {
            Err(response) => {
                self.give_back_ready();
                return RateLimitFuture::answered(response);
            }
            Ok(None) => (Decisions::new(), None),
            Ok(Some(Checking::Done(decisions))) => (decisions, None),
            Ok(Some(Checking::Asked(later))) => (Decisions::new(), Some(later)),
        };
        let on_denied = own.on_denied.as_ref().or_else(|| outer.as_ref()?.on_denied_of_layers());
        let cut_off = upload::is_cut_off(&decisions, &parts);
        let request = || Some((kinds(&counted), take_head(&mut parts)));
        if let Some(mut response) = rejection::answer(&decisions, on_denied.or(limiter.on_denied()), request) {
            if cut_off {
                upload::cut_off(&mut response);
            }
            let refund = if let Some(outer) = outer {
                outer.record(decisions);
                outer.denied()
            } else {
                quota_fields::write(response.headers_mut(), headers, &decisions);
                None
            };
            self.give_back_ready();
            return RateLimitFuture::denied(response, refund);
        }
        // Made for those alone that go on, since it costs allocations.
        let exchange = Exchange::new(limiter.clone(), on_denied.cloned(), lacks_user, outer.as_ref());
        exchange.asks(counted);
        if later.is_none() {
            exchange.allowed(decisions);
        }
        parts.extensions.insert(exchange.clone());
        let request = Request::from_parts(parts, body);
        let Some(later) = later else {
            return RateLimitFuture::calling(self.inner.call(request), exchange, headers);
        };
        // The one that said it was ready goes with the request; the other takes its place here.
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        RateLimitFuture::checking(later, (ready, request), exchange, headers)
    }
}

impl<S: Clone> RateLimitService<S> {
    /// The service that said it was ready may hold a permit, which this request does not need any more.
    fn give_back_ready(&mut self) {
        self.inner = self.inner.clone();
    }
}

impl<S> RateLimitService<S> {
    /// Starts the check of the layer's own limits, if any apply, and says what they count. The error is the answer to what
    /// cannot be counted.
    #[expect(clippy::result_large_err, reason = "an answer, which a box would cost an allocation")]
    fn begin(&self, parts: &mut Parts, left: Duration, counted: &mut Counted) -> Result<Option<Checking>, Response> {
        let own = &self.layer.own;
        if own.limits.is_empty() {
            return Ok(None);
        }
        if own.skip.as_ref().is_some_and(|skip| skip(parts)) {
            own.limits.iter().for_each(|(policy, _)| telemetry::skipped(policy));
            return Ok(None);
        }
        let needs_path = own.limits.iter().any(|(_, by)| by.needs_path());
        let path = if needs_path { captured(parts)? } else { None };
        let limiter = &self.layer.limiter;
        let key = |by: &KeyBy| by.key(parts, path.as_ref(), limiter.client_ip());
        // One is what most have, and takes no lists.
        if let [(policy, by)] = own.limits.as_slice() {
            let key = key(by)?;
            let checking = limiter.begin(&[Check::new(policy, &key)], left);
            counted.push((policy.clone(), key));
            return Ok(Some(checking));
        }
        let keys = own.limits.iter().map(|(_, by)| key(by)).collect::<Result<SmallVec<[Key; 2]>, Misuse>>()?;
        let checks: SmallVec<[Check<'_>; 2]> =
            own.limits.iter().zip(&keys).map(|((policy, _), key)| Check::new(policy, key)).collect();
        let checking = limiter.begin(&checks, left);
        drop(checks);
        counted.extend(own.limits.iter().zip(keys).map(|((policy, _), key)| (policy.clone(), key)));
        Ok(Some(checking))
    }
}
