//! What the limiter answered.

use std::borrow::Cow;
use std::time::Duration;

use crate::algorithm::{Receipt, Verdict};
use crate::error::StoreErrorKind;
use crate::policy::Policy;
use crate::quota::{Algorithm, Quota};

/// The answer to one check.
#[derive(Clone, Debug)]
#[must_use = "a decision that nobody looks at refuses nothing"]
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
    /// Somebody has counted: the store, or this process in its place.
    Count,
    /// An earlier refusal that is still certain.
    #[cfg(feature = "_shared")]
    Memory,
    /// Nobody has counted.
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

    /// An answer without a count, because the store gave none.
    pub(crate) fn uncounted(policy: &Policy, quota: Quota, allowed: bool, reason: StoreErrorKind) -> Decision {
        Decision {
            policy: policy.shared_name(),
            quota,
            allowed,
            shadow: policy.is_shadow(),
            remaining: 0,
            reset_after: 0,
            // An outage has no known end; a second is soon enough to ask again.
            retry_after: if allowed { None } else { Some(1_000_000) },
            receipt: None,
            degraded: Some(reason),
            origin: Origin::Nowhere,
        }
    }

    /// What cannot be: a check without an answer. It is denied.
    #[cold]
    pub(crate) fn missing(policy: &Policy) -> Decision {
        debug_assert!(false, "a check of {} has no answer", policy.name());
        Decision::uncounted(policy, policy.quota(), false, StoreErrorKind::Other)
    }

    /// The same answer for another check of the same bucket, which was decided together with this one.
    pub(crate) fn shared_with(&self, policy: &Policy) -> Decision {
        let quota = policy.quota();
        let remaining = self.remaining.min(quota.capacity());
        Decision { quota, shadow: policy.is_shadow(), remaining, ..self.clone() }
    }

    /// The same answer, from a count that this process kept alone.
    pub(crate) fn degrade(mut self, reason: StoreErrorKind) -> Decision {
        self.degraded = Some(reason);
        self
    }

    /// The same answer, without the store having been asked.
    #[cfg(feature = "_shared")]
    pub(crate) fn remember(mut self) -> Decision {
        self.origin = Origin::Memory;
        self
    }

    /// Whether the request may go on. A shadow policy always says yes; see [`Decision::would_deny`].
    pub fn allowed(&self) -> bool {
        self.allowed || self.shadow
    }

    /// Whether the quota is exceeded, also where a shadow policy lets the request go on.
    pub fn would_deny(&self) -> bool {
        !self.allowed
    }

    /// The most that [`remaining`](Decision::remaining) can be: units allowed in a window; of a token bucket, its burst.
    pub fn limit(&self) -> u32 {
        self.quota.capacity()
    }

    /// Units left after this check. 0 when [`degraded`](Decision::degraded): it is not known then.
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// Until the oldest counted request leaves the window (token bucket: until the bucket is full). Zero when nothing
    /// is counted, and when [`degraded`](Decision::degraded).
    pub fn reset_after(&self) -> Duration {
        Duration::from_micros(self.reset_after)
    }

    /// Until the same request would be allowed, if nobody else used the key meanwhile: waiting that long is enough
    /// and needed. `None` when it was allowed, or when it never can be, since its cost is above the limit.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(Duration::from_micros)
    }

    /// Until there are more units: until a refused request would be allowed; after the last unit, until the next; else
    /// like [`reset_after`](Decision::reset_after).
    pub(crate) fn more_after(&self) -> Duration {
        if let Some(retry) = self.retry_after() {
            return retry;
        }
        if self.remaining == 0 && self.quota.algorithm() == Algorithm::TokenBucket {
            // Until the bucket is full all of them come back, one after the other: the first of them now.
            let (others, _) = self.quota.refill_time(self.quota.capacity() - 1);
            return Duration::from_micros(self.reset_after.saturating_sub(others));
        }
        self.reset_after()
    }

    /// Whether the store could not be asked, so that the failure policy answered
    /// ([`OnError`](crate::OnError)).
    pub fn degraded(&self) -> bool {
        self.degraded.is_some()
    }

    /// Why the store could not be asked.
    pub fn degraded_reason(&self) -> Option<StoreErrorKind> {
        self.degraded
    }

    /// What to show to have the charge given back; `None` if nothing was charged.
    pub(crate) fn receipt(&self) -> Option<Receipt> {
        self.receipt
    }

    /// After the charge was given back.
    pub(crate) fn give_back(&mut self, cost: u32) {
        self.remaining = self.remaining.saturating_add(cost).min(self.quota.capacity());
        if self.remaining == self.quota.capacity() {
            // Nothing is counted any more.
            self.reset_after = 0;
        }
    }

    /// Whether this process has counted in the store's place.
    pub(crate) fn is_counted_here(&self) -> bool {
        self.degraded.is_some() && self.origin == Origin::Count
    }

    /// Whether nothing was counted, not even in this process.
    pub(crate) fn is_unknown(&self) -> bool {
        self.origin == Origin::Nowhere
    }

    /// Whether an earlier refusal was the answer.
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
