//! The answer to a check.

use std::borrow::Cow;
use std::time::Duration;

use crate::algorithm::{Receipt, Verdict};
use crate::error::StoreErrorKind;
use crate::policy::Policy;
use crate::quota::{Algorithm, Quota};

/// The answer to one check.
#[derive(Clone, Debug)]
pub struct Decision {
    policy: Cow<'static, str>,
    quota: Quota,
    allowed: bool,
    shadow: bool,
    remaining: u32,
    reset_after: u64,
    retry_after: Option<u64>,
    receipt: Option<Receipt>,
    degraded: Option<StoreErrorKind>,
    origin: Origin,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The store has counted, or this process in its place.
    Count,
    /// The deny cache: an earlier denial that is still certain.
    #[cfg(feature = "_shared")]
    DenyCache,
    /// Nothing was counted.
    Nowhere,
}

impl Decision {
    pub(crate) fn counted(policy: &Policy, quota: Quota, verdict: Verdict) -> Decision {
        Decision {
            policy: policy.shared_name(),
            quota,
            allowed: verdict.allowed,
            shadow: policy.is_shadow(),
            remaining: verdict.remaining,
            reset_after: verdict.reset_after,
            retry_after: verdict.retry_after,
            receipt: verdict.receipt,
            degraded: None,
            origin: Origin::Count,
        }
    }

    /// An answer without a count, because the store gave no answer.
    pub(crate) fn uncounted(policy: &Policy, quota: Quota, allowed: bool, reason: StoreErrorKind) -> Decision {
        Decision {
            policy: policy.shared_name(),
            quota,
            allowed,
            shadow: policy.is_shadow(),
            remaining: 0,
            reset_after: 0,
            // Nobody knows when an outage ends. One second is a fair time to ask again.
            retry_after: if allowed { None } else { Some(1_000_000) },
            receipt: None,
            degraded: Some(reason),
            origin: Origin::Nowhere,
        }
    }

    /// A check without an answer, which cannot happen. It is denied.
    #[cold]
    pub(crate) fn missing(policy: &Policy) -> Decision {
        debug_assert!(false, "a check of {} has no answer", policy.name());
        Decision::uncounted(policy, policy.quota(), false, StoreErrorKind::Other)
    }

    /// The same answer for another check of the same count, which was decided together with this one.
    pub(crate) fn shared_with(&self, policy: &Policy) -> Decision {
        let quota = policy.quota();
        let remaining = self.remaining.min(quota.capacity());
        Decision { quota, shadow: policy.is_shadow(), remaining, ..self.clone() }
    }

    /// Marks the answer as counted in this process alone.
    pub(crate) fn degrade(mut self, reason: StoreErrorKind) -> Decision {
        self.degraded = Some(reason);
        self
    }

    /// Marks the answer as the deny cache's: the store was not asked.
    #[cfg(feature = "_shared")]
    pub(crate) fn remember(mut self) -> Decision {
        self.origin = Origin::DenyCache;
        self
    }

    /// Whether the request is allowed. In shadow mode it always is; see [`Decision::would_deny`].
    pub fn allowed(&self) -> bool {
        self.allowed || self.shadow
    }

    /// Whether the quota is exceeded, so that the request is denied, or would be if the policy were not in shadow mode.
    pub fn would_deny(&self) -> bool {
        !self.allowed
    }

    /// The highest possible value of [`remaining`](Decision::remaining): the units allowed in a window, or the burst of a
    /// token bucket.
    pub fn limit(&self) -> u32 {
        self.quota.capacity()
    }

    /// Units left after this check. 0 if nothing was counted, not even in this process
    /// ([`degraded`](Decision::degraded)): the number is unknown then.
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// The time until the oldest counted request leaves the window, or until a token bucket is full. Zero if nothing is
    /// counted or the count is unknown.
    pub fn reset_after(&self) -> Duration {
        Duration::from_micros(self.reset_after)
    }

    /// The time until the same request would be allowed if nobody else used the key: neither too short nor too long.
    /// `None` if it was allowed, or if it never will be, because its cost is above the limit.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(Duration::from_micros)
    }

    /// The time until there are more units. For a denied request, until it would be allowed; after the last unit, until
    /// the next one; otherwise as [`reset_after`](Decision::reset_after).
    pub(crate) fn more_after(&self) -> Duration {
        if let Some(retry) = self.retry_after() {
            return retry;
        }
        if self.remaining == 0 && self.quota.algorithm() == Algorithm::TokenBucket {
            // Tokens come back one by one until the bucket is full; the first of them is the next unit.
            let (others, _) = self.quota.refill_time(self.quota.capacity() - 1);
            return Duration::from_micros(self.reset_after.saturating_sub(others));
        }
        self.reset_after()
    }

    /// Whether the store gave no answer, so that the failure policy ([`OnError`](crate::OnError)) decided.
    pub fn degraded(&self) -> bool {
        self.degraded.is_some()
    }

    /// Why the store gave no answer; `None` if it did.
    pub fn degraded_reason(&self) -> Option<StoreErrorKind> {
        self.degraded
    }

    /// The receipt for giving the charge back; `None` if nothing was charged.
    pub(crate) fn receipt(&self) -> Option<Receipt> {
        self.receipt
    }

    /// Updates the answer after its charge was given back.
    pub(crate) fn give_back(&mut self, cost: u32) {
        self.remaining = self.remaining.saturating_add(cost).min(self.quota.capacity());
        if self.remaining == self.quota.capacity() {
            // Nothing is counted now.
            self.reset_after = 0;
        }
    }

    /// Whether this process counted instead of the store.
    pub(crate) fn is_counted_here(&self) -> bool {
        self.degraded.is_some() && self.origin == Origin::Count
    }

    /// Whether nothing was counted, not even in this process.
    pub(crate) fn is_unknown(&self) -> bool {
        self.origin == Origin::Nowhere
    }

    /// Whether the deny cache answered.
    pub(crate) fn is_remembered(&self) -> bool {
        !matches!(self.origin, Origin::Count | Origin::Nowhere)
    }

    pub(crate) fn shared_policy(&self) -> Cow<'static, str> {
        self.policy.clone()
    }

    pub(crate) fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// The name of the policy.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// The quota that was applied.
    pub fn quota(&self) -> Quota {
        self.quota
    }
}
