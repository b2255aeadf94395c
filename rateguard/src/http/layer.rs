//! The layer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::response::IntoResponse;
use tower_layer::Layer;

use super::config::Config;
use super::denied::Denied;
use super::headers::Headers;
use super::key_by::KeyBy;
use super::limit::HttpLimit;
use super::rejection::OnDenied;
use super::service::RateLimitService;
use crate::quota::Quota;
use crate::rate_guard::RateGuard;

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
#[doc(alias = "GovernorLayer")]
#[doc(alias = "middleware")]
#[derive(Clone)]
#[must_use = "a layer does nothing until it is added to a router: `.layer(…)`"]
pub struct RateLimitLayer {
    config: Arc<Config>,
}

impl RateLimitLayer {
    /// A layer without limits of its own.
    pub fn new(limiter: RateGuard) -> RateLimitLayer {
        RateLimitLayer { config: Arc::new(Config::new(limiter)) }
    }

    /// A limit on every request that passes the layer. Several are decided together: if one of them denies, none is
    /// charged.
    ///
    /// # Panics
    ///
    /// When `name` cannot be the name of a [`Policy`](crate::Policy) ([`Policy::try_new`](crate::Policy::try_new) returns
    /// the error instead), or when the layer has a limit of that name already.
    #[track_caller]
    pub fn limit(self, name: impl Into<Cow<'static, str>>, quota: Quota, key: KeyBy) -> RateLimitLayer {
        self.rule(HttpLimit::new(name, quota, key))
    }

    /// A limit with settings of its own: what it costs, which requests it skips, when it gives a charge back, shadow mode.
    ///
    /// # Panics
    ///
    /// When the layer has a limit of that name already: the two would share one count.
    #[track_caller]
    pub fn rule(mut self, limit: HttpLimit) -> RateLimitLayer {
        let config = Arc::make_mut(&mut self.config);
        let name = limit.policy.name();
        assert!(
            config.limits.iter().all(|other| other.policy.name() != name),
            "rateguard: RateLimitLayer: two limits are named {name:?}: give each a name of its own",
        );
        config.limiter.register(&limit.policy);
        config.limits.push(limit);
        self
    }

    /// Requests that the layer's own limits do not count: those for which the closure returns `true`. Limits of handlers
    /// still count them. For one limit alone, see [`HttpLimit::skip`].
    pub fn skip(mut self, skip: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> RateLimitLayer {
        Arc::make_mut(&mut self.config).skip = Some(Arc::new(skip));
        self
    }

    /// Clients that the layer's own limits do not count: networks, addresses, and the names `loopback` and `private`, as in
    /// [`HttpLimit::exempt`]. Limits of handlers still count them; for all limits, see
    /// [`RateGuardBuilder::exempt`](crate::RateGuardBuilder::exempt).
    ///
    /// # Panics
    ///
    /// When one of the texts is neither an address nor a network nor such a name.
    #[expect(clippy::panic, reason = "documented; a layer is made when the program starts, not when a request comes")]
    #[track_caller]
    pub fn exempt(mut self, clients: impl IntoIterator<Item = impl AsRef<str>>) -> RateLimitLayer {
        let config = Arc::make_mut(&mut self.config);
        match config.exempt.and(clients) {
            Ok(exempt) => config.exempt = exempt,
            Err(error) => panic!("rateguard: RateLimitLayer::{error}"),
        }
        self
    }

    /// Shadow mode (dry run) for the layer's own limits: decide, count and report, but never deny. Limits of handlers still
    /// deny. Default `false`.
    pub fn shadow(mut self, shadow: bool) -> RateLimitLayer {
        Arc::make_mut(&mut self.config).shadow = shadow;
        self
    }

    /// Which headers tell clients about their quota, instead of the limiter's
    /// [own choice](crate::RateGuardBuilder::headers). Of nested layers, the outermost decides.
    pub fn headers(mut self, headers: Headers) -> RateLimitLayer {
        Arc::make_mut(&mut self.config).headers = Some(headers);
        self
    }

    /// The answer to denied requests, in place of the limiter's [own answer](crate::RateGuardBuilder::on_denied), for the
    /// limits of this layer and of the handlers under it. A layer further in without an answer of its own uses this one.
    pub fn on_denied<R: IntoResponse>(
        mut self,
        answer: impl Fn(&Denied) -> R + Send + Sync + 'static,
    ) -> RateLimitLayer {
        Arc::make_mut(&mut self.config).on_denied = Some(OnDenied::new(answer));
        self
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> RateLimitService<S> {
        RateLimitService::new(inner, Config::applied(&self.config))
    }
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.debug(f.debug_struct("RateLimitLayer"))
    }
}
