//! The way to a store that servers share, and back.

use std::sync::Arc;
use std::time::Duration;

use super::asked::Asked;
use super::deny_cache::Limits;
use super::group::{Places, decide, spread};
use super::pending::Pending;
use super::{Check, Checking, Decisions, RateGuard};
use crate::decision::Decision;
use crate::error::{StoreError, StoreErrorKind};
use crate::key::Key;
use crate::policy::{OnError, Policy};
use crate::store::Verdicts;
use crate::store::memory::{MemoryCheck, MemoryStore};
use crate::store::remote::SharedStore;
use crate::store::remote::script::{self, Forget, Forgetting, Group, Op, RedisCheck};
use crate::store::remote::wait::Wait;

impl RateGuard {
    pub(super) async fn ask(&self, store: &SharedStore, op: Op, check: &Check<'_>) -> Result<Verdicts, StoreError> {
        self.start(store, op, check)?.await.result
    }

    /// Asks. Nothing needs to be waited for that it is done.
    pub(super) fn start(&self, store: &SharedStore, op: Op, check: &Check<'_>) -> Result<Wait<Verdicts>, StoreError> {
        let mut group = Group::new(op, [self.redis_check(check)].into_iter().collect());
        if matches!(op, Op::Refund(_) | Op::Reset) {
            // Also if nobody waits for it any more when it is done.
            group = group.forgetting(self.forget(&self.memory_check(self.local(), check)));
        }
        store.ask(group, self.inner.settings.deadline)
    }

    /// One check of a limiter that counts elsewhere.
    pub(super) async fn check_shared(&self, policy: &Policy, key: &Key, cost: u32) -> Decision {
        let only = |mut decisions: Decisions| decisions.pop().unwrap_or_else(|| Decision::missing(policy));
        // What is decided at once takes no room in what waits.
        let later = match self.begin(&[Check::new(policy, key).cost(cost)], self.deadline()) {
            Checking::Done(decisions) => return only(decisions),
            Checking::Asked(later) => later,
        };
        only(later.await.decisions)
    }

    pub(super) fn check_in(
        &self,
        store: &SharedStore,
        checks: &[Check<'_>],
        places: Option<Places>,
        left: Duration,
    ) -> Checking {
        let asked = self.inner.settings.clock.micros();
        let limits: Limits = checks.iter().map(|check| self.memory_check(self.local(), check)).collect();
        if let Some(verdicts) = self.inner.spent.refuse(asked, &limits) {
            let decided = decide(checks.iter().map(|check| check.policy), verdicts);
            let decisions = decided.into_iter().map(Decision::remember).collect();
            return Checking::Done(spread(decisions, places.as_ref()));
        }
        let group = Group::new(Op::Check, checks.iter().map(|check| self.redis_check(check)).collect());
        #[cfg(feature = "redis")]
        let group = if limits.len() > 1 && store.is_apart() && self.inner.spent.is_on() {
            group.forget_each(limits.iter().map(|limit| self.forget(limit)).collect())
        } else {
            group
        };
        let policies = checks.iter().map(|check| check.policy.clone()).collect();
        let pending = Pending { policies, limits, asked, places };
        match store.ask(group, left) {
            Ok(answer) => Checking::Asked(Box::pin(Asked::new(answer, self.clone(), pending))),
            Err(error) => Checking::Done(pending.settle(self, Err(error))),
        }
    }

    /// After an answer.
    pub(super) fn remember(&self, limits: &Limits, asked: u64, verdicts: &Verdicts) {
        if self.inner.spent.is_on() && verdicts.iter().any(|verdict| !verdict.allowed) {
            self.inner.spent.learn(asked, self.inner.settings.clock.micros(), limits, verdicts);
        }
    }

    /// For as long as something is given back, or may be.
    pub(super) fn forgetting(&self, check: &Check<'_>) -> Forgetting {
        self.forget(&self.memory_check(self.local(), check)).until_dropped()
    }

    fn forget(&self, limit: &MemoryCheck) -> Forget {
        let (spent, clock) = (Arc::clone(&self.inner.spent), self.inner.settings.clock.clone());
        let fingerprint = limit.fingerprint.hash;
        Forget::new(move || spent.forget(clock.micros(), fingerprint))
    }

    fn redis_check(&self, check: &Check<'_>) -> RedisCheck {
        let quota = check.policy.quota();
        RedisCheck {
            key: self.redis_key(check.policy, check.key),
            quota,
            form: script::form(&quota, self.inner.settings.compact_log, check.policy.is_shadow()),
            cost: check.cost,
            shadow: check.policy.is_shadow(),
        }
    }

    /// `prefix:{identity}:policy:algorithm`. The braces are the only ones, so they are what picks the cluster's slot.
    pub(crate) fn redis_key(&self, policy: &Policy, key: &Key) -> String {
        let settings = &self.inner.settings;
        let mut text = String::with_capacity(settings.prefix.len() + policy.name().len() + 80);
        text.push_str(&settings.prefix);
        text.push_str(":{");
        settings.writer.write(&mut text, &self.localize(key));
        text.push_str("}:");
        text.push_str(policy.name());
        text.push(':');
        text.push_str(script::tag(policy.quota().algorithm()));
        text
    }

    /// The check as this process counts it while the store does not, with its share of the quota if it has one.
    pub(super) fn local_check(&self, policy: &Policy, check: &MemoryCheck) -> MemoryCheck {
        let mut local = *check;
        if let Some(servers) = self.on_error(policy).local_parts() {
            let share = local.quota.share(servers);
            // What the quota allows at once, its share does as well.
            if local.cost <= local.quota.capacity() {
                local.cost = local.cost.min(share.capacity());
            }
            local.quota = share;
        }
        local
    }

    /// Where this process counts while the store does not.
    pub(super) fn local(&self) -> &MemoryStore {
        &self.inner.local
    }

    /// Whether this process counts what the store did not, for this reason. With `Open` it does unless the store is known
    /// to be away: what is merely slow, full or asked too much opens nothing.
    pub(super) fn counts_here(&self, policy: &Policy, error: &StoreError) -> bool {
        match self.on_error(policy) {
            OnError::Closed => false,
            OnError::Local | OnError::LocalShare { .. } => true,
            OnError::Open => !error.is_of_outage(),
        }
    }

    /// Whether what is asked besides checks is about this process's own count, for the same reason. What somebody has to
    /// mend is told instead: a value under the key that is not ours, a forbidden command.
    pub(super) fn acts_here(&self, policy: &Policy, error: &StoreError) -> bool {
        let is_to_mend = matches!(error.kind(), StoreErrorKind::WrongType | StoreErrorKind::Forbidden);
        !is_to_mend && self.counts_here(policy, error)
    }

    pub(super) fn on_error(&self, policy: &Policy) -> OnError {
        policy.failure_policy().unwrap_or(self.inner.settings.on_error)
    }
}
