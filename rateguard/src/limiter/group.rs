//! Checks that are decided together.

use std::borrow::Cow;
use std::slice;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};

use super::{Checking, RateGuard, Store};
use crate::algorithm::Verdict;
use crate::decision::Decision;
use crate::key::prefix::network;
use crate::key::{Key, Repr};
use crate::policy::Policy;
use crate::store::memory::{MemoryCheck, MemoryStore};

/// One of the checks that [`RateGuard::check_all`] decides together.
#[derive(Clone, Copy, Debug)]
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
}

pub(crate) type Decisions = SmallVec<[Decision; 2]>;

/// Where the decision of each check is to be found, if several share one.
pub(super) type Places = SmallVec<[Place; 2]>;

/// That of one check.
#[derive(Debug)]
pub(super) struct Place {
    at: usize,
    /// The check's own.
    policy: Policy,
}

/// What checks of one bucket are decided as.
struct Merged<'c> {
    policy: Cow<'c, Policy>,
    key: &'c Key,
    cost: u32,
}

impl Merged<'_> {
    fn check(&self) -> Check<'_> {
        Check::new(&self.policy, self.key).cost(self.cost)
    }
}

/// A decision for each check.
pub(super) fn decide<'p>(
    policies: impl Iterator<Item = &'p Policy>,
    verdicts: impl IntoIterator<Item = Verdict>,
) -> Decisions {
    let mut verdicts = verdicts.into_iter();
    policies
        .map(|policy| match verdicts.next() {
            Some(verdict) => Decision::counted(policy, policy.quota(), verdict),
            None => Decision::missing(policy),
        })
        .collect()
}

pub(super) fn spread(decisions: Decisions, places: Option<&Places>) -> Decisions {
    let Some(places) = places else { return decisions };
    let decision = |place: &Place| match decisions.get(place.at) {
        Some(decision) => decision.shared_with(&place.policy),
        None => Decision::missing(&place.policy),
    };
    places.iter().map(decision).collect()
}

impl RateGuard {
    /// Starts a check of several limits together, with the quotas that these policies have.
    pub(super) fn begin_as_written(&self, checks: &[Check<'_>], left: Duration) -> Checking {
        match checks {
            [] => Checking::Done(Decisions::new()),
            [_] => self.begin_distinct(checks, None, left),
            _ => match self.merge(checks) {
                None => self.begin_distinct(checks, None, left),
                Some((merged, places)) => {
                    let checks: SmallVec<[Check<'_>; 2]> = merged.iter().map(Merged::check).collect();
                    self.begin_distinct(&checks, Some(places), left)
                }
            },
        }
    }

    fn begin_distinct(&self, checks: &[Check<'_>], places: Option<Places>, left: Duration) -> Checking {
        match &self.inner.store {
            Store::Memory(store) => Checking::Done(spread(self.count_in(store, checks), places.as_ref())),
            #[cfg(feature = "_shared")]
            Store::Shared(store) => self.check_in(store, checks, places, left),
        }
    }

    /// Checks that share a bucket become one that takes what they take together. `None` if there are none such, as nearly
    /// always.
    fn merge<'c>(&self, checks: &[Check<'c>]) -> Option<(SmallVec<[Merged<'c>; 2]>, Places)> {
        let share = |a: &Merged<'_>, b: &Check<'_>| {
            a.policy.name() == b.policy.name()
                && a.policy.quota().algorithm() == b.policy.quota().algorithm()
                && self.localize(a.key) == self.localize(b.key)
        };
        let mut merged: SmallVec<[Merged<'c>; 2]> = SmallVec::new();
        let mut places = Places::new();
        for check in checks {
            let at = merged.iter().position(|earlier| share(earlier, check)).unwrap_or(merged.len());
            places.push(Place { at, policy: check.policy.clone() });
            match merged.get_mut(at) {
                Some(earlier) => {
                    earlier.cost = earlier.cost.saturating_add(check.cost);
                    earlier.policy = Cow::Owned(self.stricter(&earlier.policy, check.policy));
                }
                None => {
                    merged.push(Merged { policy: Cow::Borrowed(check.policy), key: check.key, cost: check.cost });
                }
            }
        }
        (merged.len() < checks.len()).then_some((merged, places))
    }

    /// A policy that holds whatever the two, of one bucket, hold. A shadow holds nothing against one that enforces.
    fn stricter(&self, one: &Policy, other: &Policy) -> Policy {
        match (one.is_shadow(), other.is_shadow()) {
            (true, false) => return other.clone(),
            (false, true) => return one.clone(),
            _ => {}
        }
        let on_error = |policy: &Policy| policy.failure_policy().unwrap_or(self.inner.settings.on_error);
        let stricter = one.clone().with_quota(one.quota().tighter(other.quota()));
        if on_error(other).strictness() > on_error(one).strictness() {
            return stricter.on_error(on_error(other));
        }
        stricter
    }

    fn count_in(&self, store: &MemoryStore, checks: &[Check<'_>]) -> Decisions {
        if let [check] = checks {
            return smallvec![Decision::counted(check.policy, check.policy.quota(), self.count_one(store, check))];
        }
        let verdicts = store.check(&self.inner.settings.clock, &self.fingerprints(store, checks));
        decide(checks.iter().map(|check| check.policy), verdicts)
    }

    /// One check of a limiter that counts in this process, from the policy as it is written to what operators are told.
    pub(super) fn check_now(&self, store: &MemoryStore, policy: &Policy, key: &Key, cost: u32) -> Decision {
        self.meet(policy);
        if self.is_tuned() {
            let policy = self.current(policy);
            return self.count_and_tell(store, &Check::new(&policy, key).cost(cost));
        }
        self.count_and_tell(store, &Check::new(policy, key).cost(cost))
    }

    fn count_and_tell(&self, store: &MemoryStore, check: &Check<'_>) -> Decision {
        let verdict = self.count_one(store, check);
        // A decision is large. This way it is made once, where it is wanted, and not made here to be moved there.
        if RateGuard::is_told(verdict.allowed) {
            self.tell_one(check, verdict);
        }
        Decision::counted(check.policy, check.policy.quota(), verdict)
    }

    #[cold]
    fn tell_one(&self, check: &Check<'_>, verdict: Verdict) {
        let decision = Decision::counted(check.policy, check.policy.quota(), verdict);
        self.decided(slice::from_ref(check), slice::from_ref(&decision));
    }

    /// One check, as nearly always.
    #[inline]
    fn count_one(&self, store: &MemoryStore, check: &Check<'_>) -> Verdict {
        store.check_one(&self.inner.settings.clock, &self.memory_check(store, check))
    }

    pub(super) fn fingerprints(&self, store: &MemoryStore, checks: &[Check<'_>]) -> SmallVec<[MemoryCheck; 2]> {
        checks.iter().map(|check| self.memory_check(store, check)).collect()
    }

    #[inline]
    pub(super) fn memory_check(&self, store: &MemoryStore, check: &Check<'_>) -> MemoryCheck {
        let quota = check.policy.quota();
        let prefixes = self.inner.settings.prefixes;
        let fingerprint = store.fingerprint(check.policy, check.key, prefixes);
        MemoryCheck { fingerprint, quota, cost: check.cost, shadow: check.policy.is_shadow() }
    }

    /// The key as this limiter counts it: an address stands for its network.
    pub(super) fn localize<'k>(&self, key: &'k Key) -> Cow<'k, Key> {
        match &key.0 {
            Repr::Ip(ip) => match network(*ip, self.inner.settings.prefixes) {
                network if network == *ip => Cow::Borrowed(key),
                network => Cow::Owned(Key(Repr::Ip(network))),
            },
            Repr::Composite(parts) => {
                Cow::Owned(Key(Repr::Composite(parts.iter().map(|part| self.localize(part).into_owned()).collect())))
            }
            _ => Cow::Borrowed(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;
    use crate::quota::Quota;

    const ONE: Policy = Policy::new("one", Quota::sliding_window(1, Duration::from_secs(60)));

    /// Debug builds say so.
    fn is_denied(decisions: impl FnOnce() -> Decisions + std::panic::UnwindSafe) -> bool {
        match catch_unwind(decisions) {
            Ok(decisions) => !cfg!(debug_assertions) && matches!(&decisions[..], [only] if !only.allowed()),
            Err(_) => cfg!(debug_assertions),
        }
    }

    #[test]
    fn a_check_without_an_answer_is_denied() {
        assert!(is_denied(|| decide([&ONE].into_iter(), [])));
        assert!(is_denied(|| spread(Decisions::new(), Some(&smallvec![Place { at: 0, policy: ONE }]))));
    }
}
