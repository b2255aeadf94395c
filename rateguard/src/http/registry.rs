//! The limits that a limiter knows, for clients who ask for their usage.

use std::sync::{PoisonError, RwLock};

use super::limit::HttpLimit;

/// Limits of layers, and of handlers that were registered or have had a request.
#[derive(Debug, Default)]
pub(crate) struct Registry(RwLock<Vec<HttpLimit>>);

impl Registry {
    /// For the first limit of a policy, so that there are at most as many as there are policies.
    #[cold]
    pub(crate) fn add(&self, limit: HttpLimit) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(limit);
    }

    pub(super) fn limits(&self) -> Vec<HttpLimit> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
