//! The service that the layer makes.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::Request;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use smallvec::SmallVec;
use tower_service::Service;

use super::exchange::Exchange;
use super::future::RateLimitFuture;
use super::identity::{UserId, captured};
use super::key_by::KeyBy;
use super::layer::RateLimitLayer;
use super::misuse::Misuse;
use super::rejection::RateLimited;
use crate::headers::Headers;
use crate::key::Key;
use crate::limiter::{Check, Checking};
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
    type Response = axum::response::Response;
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
        let outer = parts.extensions.get::<Exchange>();
        let headers = match outer {
            Some(_) => Headers::NONE,
            None => own.headers.unwrap_or(limiter.headers()),
        };
        let exchange = Exchange::new(limiter.clone(), own.on_denied.clone(), lacks_user, outer);
        let checking = match self.begin(&mut parts) {
            Ok(checking) => checking,
            Err(misuse) => {
                return RateLimitFuture::answered(RateLimited::from(misuse), exchange, headers);
            }
        };
        parts.extensions.insert(exchange.clone());
        let later = match checking {
            None => None,
            Some(Checking::Done(decisions)) => {
                let refusal = own.refusal(&decisions, &exchange, &parts);
                exchange.record(decisions);
                if let Some(refusal) = refusal {
                    return RateLimitFuture::answered(refusal, exchange, headers);
                }
                None
            }
            Some(Checking::Asked(later)) => Some(later),
        };
        let request = Request::from_parts(parts, body);
        let Some(later) = later else {
            return RateLimitFuture::calling(self.inner.call(request), exchange, headers);
        };
        // Without an answer of the program's own to a refusal, nothing of the request is needed for it.
        let own = exchange.on_denied().map(|_| Arc::clone(own));
        // The one that said it was ready goes with the request; the other takes its place here.
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        RateLimitFuture::checking(later, (ready, request), own, exchange, headers)
    }
}

impl<S> RateLimitService<S> {
    /// Starts the check of the layer's own limits, if any apply.
    fn begin(&self, parts: &mut Parts) -> Result<Option<Checking>, Misuse> {
        let own = &self.layer.own;
        if own.limits.is_empty() {
            return Ok(None);
        }
        if own.skip.as_ref().is_some_and(|skip| skip(parts)) {
            own.limits.iter().for_each(|(policy, _)| telemetry::skipped(policy));
            return Ok(None);
        }
        let path = own.limits.iter().any(|(_, by)| by.needs_path()).then(|| captured(parts)).flatten();
        let client_ip = self.layer.limiter.client_ip();
        let keys = own
            .limits
            .iter()
            .map(|(_, by)| by.key(parts, path.as_ref(), client_ip))
            .collect::<Result<SmallVec<[Key; 2]>, _>>()?;
        let checks: SmallVec<[Check<'_>; 2]> =
            own.limits.iter().zip(&keys).map(|((policy, _), key)| Check::new(policy, key)).collect();
        Ok(Some(self.layer.limiter.begin(&checks)))
    }
}
