//! The configuration of a layer, shared by its services.

use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;

use super::exempt::Exempt;
use super::headers::Headers;
use super::limit::HttpLimit;
use super::rejection::OnDenied;
use crate::rate_guard::RateGuard;

#[derive(Clone)]
pub(super) struct Config {
    pub(super) limiter: RateGuard,
    pub(super) limits: Vec<HttpLimit>,
    pub(super) skip: Option<Skip>,
    pub(super) exempt: Exempt,
    pub(super) headers: Option<Headers>,
    pub(super) shadow: bool,
    pub(super) on_denied: Option<OnDenied>,
}

type Skip = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;

impl Config {
    pub(super) fn new(limiter: RateGuard) -> Config {
        Config {
            limiter,
            limits: Vec::new(),
            skip: None,
            exempt: Exempt::default(),
            headers: None,
            shadow: false,
            on_denied: None,
        }
    }

    /// With shadow mode in the limits themselves, which the limiter knows from now on.
    pub(super) fn applied(config: &Arc<Config>) -> Arc<Config> {
        let applied = if config.shadow {
            let limits = config.limits.iter().map(|limit| limit.clone().shadow(true)).collect();
            Arc::new(Config { limits, ..(**config).clone() })
        } else {
            Arc::clone(config)
        };
        for limit in &applied.limits {
            applied.limiter.register_layer_limit(limit, &applied.exempt);
        }
        applied
    }

    pub(super) fn debug(&self, mut debug: fmt::DebugStruct<'_, '_>) -> fmt::Result {
        debug.field("limiter", &self.limiter).field("limits", &self.limits).finish_non_exhaustive()
    }
}
