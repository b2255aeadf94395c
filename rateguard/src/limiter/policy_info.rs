//! What a limiter tells of the policies that it knows.

use crate::quota::Quota;

/// A policy that a limiter knows: see [`RateGuard::policies`](crate::RateGuard::policies).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyInfo {
    pub(super) name: String,
    pub(super) default_quota: Option<Quota>,
    pub(super) quota_override: Option<Quota>,
}

impl PolicyInfo {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The quota that applies now. `None`: each request has its own.
    pub fn quota(&self) -> Option<Quota> {
        self.quota_override.or(self.default_quota)
    }

    /// The quota in the program, which applies without an override. Where policies of one name have different quotas, that
    /// of the first. `None`: each request has its own.
    pub fn default_quota(&self) -> Option<Quota> {
        self.default_quota
    }

    /// Whether each request has its own quota, as [`HttpLimit::quota_by`](crate::HttpLimit::quota_by) and the attribute's
    /// `quota = …` over a request give it.
    pub fn is_by_request(&self) -> bool {
        self.default_quota.is_none()
    }

    /// Whether a quota was set for this name, in place of the one in the program.
    pub fn is_overridden(&self) -> bool {
        self.quota_override.is_some()
    }
}
