//! What is measured: through the `metrics` facade if the feature is on, and nothing at all if it is not.
//!
//! The names, their labels and what they mean are a table in `guide/operations.md`.

#[cfg_attr(not(feature = "metrics"), path = "no_metrics.rs")]
mod metrics;

#[cfg(feature = "metrics")]
use std::time::Instant;

use crate::decision::Decision;

/// How a limit took a request. Of a group of which one limit refuses, nothing is charged.
fn outcome(decision: &Decision, group_is_refused: bool) -> &'static str {
    if decision.is_counted_here() {
        if decision.would_deny() { "local_denied" } else { "local" }
    } else if decision.degraded() {
        "degraded"
    } else if !decision.would_deny() {
        if group_is_refused { "not_charged" } else { "allowed" }
    } else if decision.is_shadow() {
        "shadowed"
    } else if decision.is_remembered() {
        "deny_cache"
    } else {
        "denied"
    }
}

/// The decisions of one request, or of as many of its limits as were decided together.
#[inline]
pub(crate) fn decided(decisions: &[Decision]) {
    if cfg!(feature = "metrics") {
        let refused = !decisions.iter().all(Decision::allowed);
        for decision in decisions {
            metrics::request(decision.shared_policy(), outcome(decision, refused));
        }
    }
}

/// A request that a limit does not count.
#[inline]
pub(crate) fn skipped(policy: &crate::policy::Policy) {
    if cfg!(feature = "metrics") {
        metrics::request(policy.shared_name(), "skipped");
    }
}

/// When a check began that is measured.
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

    /// It has been answered, or given up.
    #[inline]
    #[cfg_attr(not(feature = "metrics"), expect(clippy::unused_self, reason = "there is nothing to measure"))]
    pub(crate) fn ended(self) {
        #[cfg(feature = "metrics")]
        metrics::check_took(self.0.elapsed());
    }
}

#[cfg(all(feature = "metrics", feature = "_shared"))]
pub(crate) use metrics::deny_cache_entries;
#[cfg(feature = "metrics")]
pub(crate) use metrics::memory_keys;
#[cfg(feature = "_shared")]
pub(crate) use metrics::{batch, breaker};
pub(crate) use metrics::{describe, identity_missing, memory_overflow, store_error, unreadable_header};
