//! Sends checks to the store, or answers them from the deny cache.

use std::borrow::Cow;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};

use super::deny_cache::Limits;
use super::group::{self, Place, Places, decide};
use super::pending::{Asked, Later, Pending, Settled};
use super::{Decisions, Limiter, Store};
use crate::algorithm::Verdict;
use crate::decision::{Check, Decision};
use crate::error::StoreError;
use crate::key::prefix::network;
use crate::key::{Key, Repr};
use crate::policy::Policy;
use crate::store::memory::{MemoryCheck, MemoryStore};
use crate::store::remote::{Group, RemoteCheck, RemoteStore, Wait};
use crate::store::{Forget, Forgetting, Verdicts};

/// A check that has begun: decided at once, or sent to a remote store.
#[allow(clippy::large_enum_variant, reason = "boxing would cost every request an allocation")]
pub(crate) enum Checking {
    Done(Decisions),
    Asked(Later),
}

impl Checking {
    pub(crate) async fn settled(self) -> Settled {
        match self {
            Checking::Done(decisions) => Settled { decisions, waited: Duration::ZERO },
            Checking::Asked(later) => later.await,
        }
    }
}

impl Limiter {
    /// Starts a check of several limits together, with the quotas that apply now. Their policies are registered. A remote store
    /// may take as long as `left`.
    pub(crate) fn begin(&self, checks: &[Check<'_>], left: Duration) -> Checking {
        if !self.is_overridden() {
            return self.report(checks, self.begin_current(checks, left));
        }
        let policies: SmallVec<[Cow<'_, Policy>; 2]> = checks.iter().map(|check| self.current(check.policy)).collect();
        let checks: SmallVec<[Check<'_>; 2]> =
            checks.iter().zip(&policies).map(|(check, policy)| Check { policy, ..*check }).collect();
        self.report(&checks, self.begin_current(&checks, left))
    }

    fn begin_current(&self, checks: &[Check<'_>], left: Duration) -> Checking {
        if checks.iter().any(|check| check.policy.quota().allows_nothing()) {
            return self.begin_with_nothing(checks, left);
        }
        match self.merge(checks) {
            None => self.begin_distinct(checks, None, left),
            Some((merged, places)) => {
                let checks: SmallVec<[Check<'_>; 2]> = merged.iter().map(group::Merged::check).collect();
                self.begin_distinct(&checks, Some(places), left)
            }
        }
    }

    /// Limits that a request computed as 0 deny without asking the store, and so without charging the others.
    #[cold]
    fn begin_with_nothing(&self, checks: &[Check<'_>], left: Duration) -> Checking {
        let allows_nothing = |check: &Check<'_>| check.policy.quota().allows_nothing();
        if checks.iter().any(|check| allows_nothing(check) && !check.policy.is_shadow()) {
            let decision = |check: &Check<'_>| {
                let make = if allows_nothing(check) { Decision::nothing } else { Decision::not_asked };
                make(check.owned())
            };
            return Checking::Done(checks.iter().map(decision).collect());
        }
        // In shadow mode they are only reported, in their places among the others.
        let others: SmallVec<[Check<'_>; 2]> = checks.iter().filter(|check| !allows_nothing(check)).copied().collect();
        let (distinct, places) = self.merge(&others).unwrap_or_else(|| group::unmerged(&others));
        let mut places = places.into_iter();
        let place = |check: &Check<'_>| {
            let counted = if allows_nothing(check) { None } else { places.next() };
            counted.unwrap_or_else(|| Place::nothing(check.owned()))
        };
        let places: Places = checks.iter().map(place).collect();
        let distinct: SmallVec<[Check<'_>; 2]> = distinct.iter().map(group::Merged::check).collect();
        self.begin_distinct(&distinct, Some(places), left)
    }

    fn begin_distinct(&self, checks: &[Check<'_>], places: Option<Places>, left: Duration) -> Checking {
        match &self.0.store {
            _ if checks.is_empty() => Checking::Done(group::spread(Decisions::new(), places)),
            Store::Memory(store) => Checking::Done(group::spread(self.count_in(store, checks), places)),
            Store::Remote(store) => self.ask_remote(store, checks, places, left),
        }
    }
}

/// Counting in this process.
impl Limiter {
    /// One check of a limiter that counts in this process, including the override and the report.
    pub(super) fn check_now(&self, store: &MemoryStore, check: Check<'_>) -> Decision {
        if self.is_overridden() {
            let policy = self.current(check.policy);
            return self.count_and_report(store, &Check { policy: &policy, ..check });
        }
        self.count_and_report(store, &check)
    }

    fn count_and_report(&self, store: &MemoryStore, check: &Check<'_>) -> Decision {
        let verdict = store.check_one(self.clock(), &self.memory_check(store, check));
        // A decision is large. Made in the return expression, it is not moved.
        if Limiter::is_reported(verdict.allowed) {
            self.report_one(check, verdict);
        }
        Decision::counted(check.owned(), verdict)
    }

    #[cold]
    fn report_one(&self, check: &Check<'_>, verdict: Verdict) {
        let decision = Decision::counted(check.owned(), verdict);
        self.report_decided(slice::from_ref(&decision));
    }

    fn count_in(&self, store: &MemoryStore, checks: &[Check<'_>]) -> Decisions {
        // There is nearly always one check.
        if let [check] = checks {
            let verdict = store.check_one(self.clock(), &self.memory_check(store, check));
            return smallvec![Decision::counted(check.owned(), verdict)];
        }
        let limits: SmallVec<[MemoryCheck; 2]> = checks.iter().map(|check| self.memory_check(store, check)).collect();
        decide(checks.iter().map(|check| check.owned()), store.check(self.clock(), &limits))
    }

    #[inline]
    pub(super) fn memory_check(&self, store: &MemoryStore, check: &Check<'_>) -> MemoryCheck {
        let fingerprint = store.fingerprint(check.policy, check.key, self.0.settings.prefixes);
        let shadow = check.policy.is_shadow();
        MemoryCheck { fingerprint, quota: check.policy.quota(), cost: check.cost, shadow }
    }
}

/// Asking a remote store.
impl Limiter {
    pub(super) async fn ask(&self, store: &RemoteStore, group: Group) -> Result<Verdicts, StoreError> {
        self.start(store, group)?.await.result
    }

    /// Sends a call. It is made even if the answer is not awaited.
    pub(super) fn start(&self, store: &RemoteStore, group: Group) -> Result<Wait<Verdicts>, StoreError> {
        store.ask(group, self.deadline())
    }

    /// One check of a limiter with a remote store.
    pub(super) async fn check_one(&self, check: Check<'_>) -> Decision {
        let only = |mut decisions: Decisions| decisions.pop().unwrap_or_else(|| Decision::missing(check.owned()));
        // A decision that is made at once takes no room in the future that waits.
        let later = match self.begin(slice::from_ref(&check), self.deadline()) {
            Checking::Done(decisions) => return only(decisions),
            Checking::Asked(later) => later,
        };
        only(later.await.decisions)
    }

    fn ask_remote(
        &self,
        store: &RemoteStore,
        checks: &[Check<'_>],
        places: Option<Places>,
        left: Duration,
    ) -> Checking {
        let asked_at = self.clock().micros();
        let limits: Limits = checks.iter().map(|check| self.memory_check(self.local(), check)).collect();
        if let Some(verdicts) = self.0.deny_cache.deny(asked_at, &limits) {
            let decided = decide(checks.iter().map(|check| check.owned()), verdicts);
            let decisions = decided.into_iter().map(Decision::answered_by_deny_cache).collect();
            return Checking::Done(group::spread(decisions, places));
        }
        // In a cluster, a limit may be charged and then given back because another one denies.
        let forgets = limits.len() > 1 && store.is_cluster() && self.0.deny_cache.is_on();
        let remote_checks = checks.iter().zip(&limits).map(|(check, limit)| {
            let remote = self.remote_check(check);
            if forgets { remote.forgetting(self.forget(limit)) } else { remote }
        });
        let group = Group::check(remote_checks.collect());
        let checks = checks.iter().map(|check| check.owned()).collect();
        let pending = Pending { checks, limits, asked_at, places };
        match store.ask(group, left) {
            Ok(answer) => Checking::Asked(Box::pin(Asked::new(answer, self.clone(), pending))),
            Err(error) => Checking::Done(pending.settle(self, Err(error))),
        }
    }

    /// Puts a denial into the deny cache.
    pub(super) fn learn(&self, limits: &Limits, asked_at: u64, verdicts: &Verdicts) {
        if self.0.deny_cache.is_on() && verdicts.iter().any(|verdict| !verdict.allowed) {
            self.0.deny_cache.learn(asked_at, self.clock().micros(), limits, verdicts);
        }
    }

    /// Held while units are, or may be, given back.
    pub(super) fn forgetting(&self, check: &Check<'_>) -> Forgetting {
        self.forget(&self.memory_check(self.local(), check)).until_dropped()
    }

    fn forget(&self, limit: &MemoryCheck) -> Forget {
        let (deny_cache, clock) = (Arc::clone(&self.0.deny_cache), self.clock().clone());
        let fingerprint = limit.fingerprint.hash;
        Forget::new(move || deny_cache.forget(clock.micros(), fingerprint))
    }

    pub(super) fn remote_check(&self, check: &Check<'_>) -> RemoteCheck {
        RemoteCheck::new(self.remote_key(check), check.policy.quota(), check.cost)
            .shadow(check.policy.is_shadow())
            .compact(self.0.settings.compact_log)
    }

    /// A check that gives units back, perhaps after its caller has stopped waiting. It clears the deny cache itself.
    pub(super) fn forgetting_check(&self, check: &Check<'_>) -> RemoteCheck {
        self.remote_check(check).forgetting(self.forget(&self.memory_check(self.local(), check)))
    }

    /// `prefix:{key}:policy`. There are no other braces, so only the text between these determines the cluster's slot.
    fn remote_key(&self, check: &Check<'_>) -> String {
        let settings = &self.0.settings;
        let mut text = String::with_capacity(settings.prefix.len() + check.policy.name().len() + 80);
        text.push_str(&settings.prefix);
        text.push_str(":{");
        settings.writer.write(&mut text, &self.localize(check.key));
        text.push_str("}:");
        text.push_str(check.policy.name());
        text
    }

    /// The key as this limiter counts it: an address stands for its network.
    pub(crate) fn localize<'k>(&self, key: &'k Key) -> Cow<'k, Key> {
        match &key.0 {
            Repr::Ip(ip) => match network(*ip, self.0.settings.prefixes) {
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
