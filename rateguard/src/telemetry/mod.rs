//! What operators see: metrics, through the `metrics` facade, and the log. Without the feature `metrics`, nothing is
//! measured.
//!
//! `guide/metrics_and_logs.md` has tables of both.

pub(crate) mod log;
#[cfg_attr(not(feature = "metrics"), path = "no_metrics.rs")]
mod metrics;

#[cfg(feature = "metrics")]
use std::time::Instant;

use crate::decision::Decision;

/// The outcome of one limit's decision. If any limit of a group denies, nothing in the group is charged.
fn outcome(decision: &Decision, group_is_denied: bool) -> &'static str {
    if decision.is_counted_here() {
        if decision.would_deny() { "local_denied" } else { "local" }
    } else if decision.degraded() {
        "degraded"
    } else if !decision.would_deny() {
        if group_is_denied { "not_charged" } else { "allowed" }
    } else if decision.is_shadow() {
        "shadowed"
    } else if decision.is_from_deny_cache() {
        "deny_cache"
    } else {
        "denied"
    }
}

/// Counts the decisions of one request, or those of its limits that were decided together.
#[inline]
pub(crate) fn decided(decisions: &[Decision]) {
    if cfg!(feature = "metrics") {
        let denied = !decisions.iter().all(Decision::allowed);
        for decision in decisions {
            metrics::request(decision.check().policy.shared_name(), outcome(decision, denied));
        }
    }
}

/// Counts a request that a limit skipped.
#[inline]
pub(crate) fn skipped(policy: &crate::policy::Policy) {
    if cfg!(feature = "metrics") {
        metrics::request(policy.shared_name(), "skipped");
    }
}

/// The start of a check that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started(#[cfg(feature = "metrics")] Instant);

impl Started {
    #[inline]
    pub(crate) fn now() -> Started {
        Started(
            #[cfg(feature = "metrics")]
            Instant::now(),
        )
    }

    /// Measures a check that was answered, or given up.
    #[inline]
    #[cfg_attr(not(feature = "metrics"), expect(clippy::unused_self, reason = "there is nothing to measure"))]
    pub(crate) fn ended(self) {
        #[cfg(feature = "metrics")]
        metrics::check_took(self.0.elapsed());
    }
}

#[cfg(any(feature = "redis", feature = "upstash"))]
pub(crate) use metrics::remote::{batch, breaker};
#[cfg(feature = "metrics")]
pub(crate) use metrics::{deny_cache_entries, memory_keys};
pub(crate) use metrics::{describe, identity_missing, memory_overflow, store_error, unreadable_header};
