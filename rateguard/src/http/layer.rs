//! The layer.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use axum::http::Request;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use tower_layer::Layer;

use super::key_by::KeyBy;
use super::service::RateLimitService;
use crate::http::denied::{Denied, OnDenied};
use crate::http::headers::Headers;
use crate::limiter::RateGuard;
use crate::policy::Policy;
use crate::quota::Quota;

/// Installs a [`RateGuard`] for the handlers under it, applies limits of its own to every request, and writes the
/// quota headers, once.
///
/// A denied request spends nothing: what a layer charged is given back if a limit further in, of another layer or of the
/// attribute, denies the request after all.
///
/// ```
/// use axum::{Router, routing::get};
/// use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer};
/// use std::time::Duration;
///
/// let limiter = RateGuard::memory();
/// let app: Router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(
///         RateLimitLayer::new(limiter)
///             .limit("global", Quota::sliding_window(100, Duration::from_secs(60)), KeyBy::Ip)
///             .skip(|request| request.uri.path() == "/health"),
///     );
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is added to a router: `.layer(…)`"]
pub struct RateLimitLayer {
    pub(super) limiter: RateGuard,
    pub(super) own: Arc<Own>,
}

/// The limits of the layer itself.
#[derive(Clone, Default)]
pub(super) struct Own {
    pub(super) limits: Vec<(Policy, KeyBy)>,
    pub(super) skip: Option<Skip>,
    pub(super) headers: Option<Headers>,
    shadow: bool,
    pub(super) on_denied: Option<OnDenied>,
}

/// The head of a request that goes no further.
pub(super) fn take_head(head: &mut Parts) -> Parts {
    std::mem::replace(head, Request::new(()).into_parts().0)
}

type Skip = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;

impl RateLimitLayer {
    /// A layer without limits of its own.
    pub fn new(limiter: RateGuard) -> RateLimitLayer {
        RateLimitLayer { limiter, own: Arc::default() }
    }

    /// A limit on every request that passes the layer. Several are decided together: a refusal by one spends none of
    /// the others.
    ///
    /// # Panics
    ///
    /// When `name` is no name for a [`Policy`] ([`Policy::try_new`]), or when the layer has a limit of that name already.
    #[expect(clippy::panic, reason = "documented; a layer is made when the program starts, not when a request comes")]
    #[track_caller]
    pub fn limit(self, name: impl Into<Cow<'static, str>>, quota: Quota, by: KeyBy) -> RateLimitLayer {
        match Policy::try_new(name, quota) {
            Ok(policy) => self.policy(policy.written_at(Location::caller()), by),
            Err(error) => panic!("rateguard: RateLimitLayer::limit: {error}"),
        }
    }

    /// A limit with settings of its own, such as a shadow.
    ///
    /// # Panics
    ///
    /// When the layer has a limit of that name already: the two would share one bucket.
    pub fn policy(mut self, policy: Policy, by: KeyBy) -> RateLimitLayer {
        let own = Arc::make_mut(&mut self.own);
        assert!(
            own.limits.iter().all(|(other, _)| other.name() != policy.name()),
            "rateguard: RateLimitLayer: two limits are named {:?}: give each a name of its own",
            policy.name()
        );
        self.limiter.meet(&policy);
        own.limits.push((policy, by));
        self
    }

    /// Requests that the layer's own limits do not count. Limits of handlers still do.
    pub fn skip(mut self, skip: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> RateLimitLayer {
        Arc::make_mut(&mut self.own).skip = Some(Arc::new(skip));
        self
    }

    /// Decide and count by the layer's own limits, but never refuse, whatever their policies say: to see what limits would
    /// do before they do it. Those of handlers refuse all the same. Default `false`.
    pub fn shadow(mut self, shadow: bool) -> RateLimitLayer {
        Arc::make_mut(&mut self.own).shadow = shadow;
        self
    }

    /// Which headers tell clients about their quota, instead of the limiter's
    /// [own choice](crate::RateGuardBuilder::headers). Where layers are nested, the outermost one's choice is what counts.
    pub fn headers(mut self, headers: Headers) -> RateLimitLayer {
        Arc::make_mut(&mut self.own).headers = Some(headers);
        self
    }

    /// What a refused request is answered, in place of the limiter's [own answer](crate::RateGuardBuilder::on_denied), for
    /// the limits of this layer and of the handlers under it. A layer further in that has no answer of its own takes this
    /// one.
    pub fn on_denied<R: IntoResponse>(
        mut self,
        answer: impl Fn(&Denied) -> R + Send + Sync + 'static,
    ) -> RateLimitLayer {
        Arc::make_mut(&mut self.own).on_denied = Some(OnDenied::new(answer));
        self
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> RateLimitService<S> {
        let mut layer = self.clone();
        if layer.own.shadow {
            for (policy, _) in &mut Arc::make_mut(&mut layer.own).limits {
                *policy = policy.clone().shadow(true);
            }
        }
        RateLimitService { inner, layer }
    }
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("limiter", &self.limiter)
            .field("limits", &self.own.limits)
            .finish_non_exhaustive()
    }
}
