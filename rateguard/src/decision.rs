//! The answer to a check.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::algorithm::{Receipt, Verdict};
use crate::error::StoreErrorKind;
use crate::key::Key;
use crate::policy::Policy;
use crate::quota::{Algorithm, Quota};

/// One of the checks that [`RateGuard::check_all`](crate::RateGuard::check_all) decides together.
#[derive(Clone, Copy, Debug)]
#[must_use = "a check does nothing until a limiter has it"]
pub struct Check<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) key: &'a Key,
    pub(crate) cost: u32,
}

impl<'a> Check<'a> {
    /// A check at cost 1.
    pub const fn new(policy: &'a Policy, key: &'a Key) -> Check<'a> {
        Check { policy, key, cost: 1 }
    }

    /// How many units to take. A cost of 0 takes nothing and is always allowed.
    pub const fn cost(mut self, cost: u32) -> Check<'a> {
        self.cost = cost;
        self
    }

    pub(crate) fn owned(self) -> OwnedCheck {
        OwnedCheck { policy: self.policy.clone(), key: self.key.clone(), cost: self.cost }
    }
}

/// An owned check: what was asked.
#[derive(Clone, Debug)]
pub(crate) struct OwnedCheck {
    pub(crate) policy: Policy,
    pub(crate) key: Key,
    pub(crate) cost: u32,
}

impl OwnedCheck {
    pub(crate) fn as_check(&self) -> Check<'_> {
        Check { policy: &self.policy, key: &self.key, cost: self.cost }
    }
}

/// The answer to one check, with what was asked.
#[derive(Debug)]
pub struct Decision {
    /// The policy has the quota that applied.
    check: OwnedCheck,
    allowed: bool,
    remaining: u32,
    reset_after: u64,
    retry_after: Option<u64>,
    receipt: Option<Receipt>,
    used: Used,
    degraded: Option<StoreErrorKind>,
    origin: Origin,
}

/// Whether a receipt was used, by the decision that has it or by a copy of that.
#[derive(Debug, Default)]
struct Used(OnceLock<Arc<AtomicBool>>);

impl Used {
    /// Whether it was not used so far.
    fn first(&self) -> bool {
        !self.0.get_or_init(Arc::default).swap(true, Ordering::Relaxed)
    }
}

/// Copies share what they know. It costs an allocation that most decisions, which are never copied, do not need.
impl Clone for Used {
    fn clone(&self) -> Used {
        Used(Arc::clone(self.0.get_or_init(Arc::default)).into())
    }
}

impl Clone for Decision {
    fn clone(&self) -> Decision {
        // Without a receipt there is nothing to share.
        let used = if self.receipt.is_some() { self.used.clone() } else { Used::default() };
        Decision { check: self.check.clone(), used, ..*self }
    }
}

/// The origin of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A count: the store's, or this process's in its place.
    Count,
    /// The deny cache: an earlier denial that is still certain.
    DenyCache,
    /// There was no count.
    Nowhere,
}

impl Decision {
    pub(crate) fn counted(check: OwnedCheck, verdict: Verdict) -> Decision {
        Decision {
            check,
            allowed: verdict.allowed,
            remaining: verdict.remaining,
            reset_after: verdict.reset_after,
            retry_after: verdict.retry_after,
            receipt: verdict.receipt,
            used: Used::default(),
            degraded: None,
            origin: Origin::Count,
        }
    }

    /// An answer without a count, because the store gave none.
    pub(crate) fn uncounted(check: OwnedCheck, allowed: bool, reason: StoreErrorKind) -> Decision {
        Decision {
            check,
            allowed,
            remaining: 0,
            reset_after: 0,
            // The end of an outage is unknown; clients may retry after one second.
            retry_after: if allowed { None } else { Some(1_000_000) },
            receipt: None,
            used: Used::default(),
            degraded: Some(reason),
            origin: Origin::Nowhere,
        }
    }

    /// The answer to a check of a quota that allows nothing: it is denied for as long as the quota is that.
    pub(crate) fn nothing(check: OwnedCheck) -> Decision {
        let verdict = Verdict { allowed: false, remaining: 0, reset_after: 0, retry_after: None, receipt: None };
        Decision::counted(check, verdict)
    }

    /// The answer to a check that was not asked of the store, since a limit beside it allows nothing.
    pub(crate) fn not_asked(check: OwnedCheck) -> Decision {
        let verdict = Verdict { allowed: true, remaining: 0, reset_after: 0, retry_after: None, receipt: None };
        Decision { origin: Origin::Nowhere, ..Decision::counted(check, verdict) }
    }

    /// A check without an answer, which cannot happen. It is denied.
    #[cold]
    pub(crate) fn missing(check: OwnedCheck) -> Decision {
        debug_assert!(false, "a check of {} has no answer", check.policy.name());
        Decision::uncounted(check, false, StoreErrorKind::Other)
    }

    /// The same answer for another check of the same bucket, which was decided together with this one.
    pub(crate) fn shared_with(&self, check: OwnedCheck) -> Decision {
        let remaining = self.remaining.min(check.policy.quota().capacity());
        // The receipt is for the units of both.
        Decision { check, remaining, used: Used::default(), ..*self }
    }

    /// Marks the answer as counted in this process alone.
    pub(crate) fn degrade(mut self, reason: StoreErrorKind) -> Decision {
        self.degraded = Some(reason);
        self
    }

    /// The same answer, from the deny cache.
    pub(crate) fn answered_by_deny_cache(mut self) -> Decision {
        self.origin = Origin::DenyCache;
        self
    }

    /// Whether the request is allowed. In shadow mode it always is; see [`Decision::would_deny`].
    pub fn allowed(&self) -> bool {
        self.allowed || self.is_shadow()
    }

    /// Whether the quota is exceeded, so that the request is denied, or would be if the policy were not in shadow mode.
    pub fn would_deny(&self) -> bool {
        !self.allowed
    }

    /// The highest possible value of [`remaining`](Decision::remaining): the units allowed in a window, or the burst of a
    /// token bucket.
    pub fn limit(&self) -> u32 {
        self.quota().capacity()
    }

    /// Units left after this check. 0 if nothing was counted, not even in this process
    /// ([`degraded`](Decision::degraded)), or since a limit beside it allows nothing: the number is unknown then.
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
        if self.quota().allows_nothing() {
            return Duration::ZERO;
        }
        if self.remaining == 0 && self.quota().algorithm() == Algorithm::TokenBucket {
            // Until the bucket is full all of them come back, one after the other: the first of them now.
            let (others, _) = self.quota().refill_time(self.quota().capacity() - 1);
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

    /// The receipt, for the first who wants to use it: it works once, whoever has a copy of the decision.
    pub(crate) fn use_receipt(&self) -> Option<Receipt> {
        self.receipt.filter(|_| self.used.first())
    }

    /// The same, and the decision has it no more.
    pub(crate) fn take_receipt(&mut self) -> Option<Receipt> {
        let receipt = self.use_receipt();
        self.receipt = None;
        receipt
    }

    /// After the charge was given back.
    pub(crate) fn given_back(&mut self) {
        let capacity = self.quota().capacity();
        self.remaining = self.remaining.saturating_add(self.check.cost).min(capacity);
        if self.remaining == capacity {
            // Nothing is counted any more.
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
    pub(crate) fn is_from_deny_cache(&self) -> bool {
        self.origin == Origin::DenyCache
    }

    pub(crate) fn check(&self) -> &OwnedCheck {
        &self.check
    }

    pub(crate) fn is_shadow(&self) -> bool {
        self.check.policy.is_shadow()
    }

    /// The name of the policy.
    pub fn policy(&self) -> &str {
        self.check.policy.name()
    }

    /// The quota that was applied.
    pub fn quota(&self) -> Quota {
        self.check.policy.quota()
    }

    /// Who was counted.
    pub fn key(&self) -> &Key {
        &self.check.key
    }

    /// The units that the check asked for.
    pub fn cost(&self) -> u32 {
        self.check.cost
    }
}
