//! The way to a store that servers share, and back within the deadline.

use super::asked::Asked;
use super::group::{Places, spread};
use super::pending::Pending;
use super::spent::{Limit, Limits};
use super::{Check, Checking, Decisions, RateGuard};
use crate::decision::Decision;
use crate::error::{StoreError, StoreErrorKind};
use crate::key::Key;
use crate::policy::{OnError, Policy};
use crate::store::Verdicts;
use crate::store::memory::{MemoryCheck, MemoryStore};
use crate::store::script::{self, Answer, Group, Op, RedisCheck};
use crate::store::shared::SharedStore;

impl RateGuard {
    pub(super) async fn ask(&self, store: &SharedStore, op: Op, check: &Check<'_>) -> Result<Verdicts, StoreError> {
        let checks = [self.redis_check(check)].into_iter().collect();
        self.in_time(store.ask(Group::new(op, checks))?).await
    }

    pub(super) async fn in_time<T>(&self, answer: Answer<T>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.inner.settings.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(task_ended()),
            Err(_) => Err(StoreError::timed_out()),
        }
    }

    /// One check of a limiter that counts elsewhere.
    pub(super) async fn check_shared(&self, policy: &Policy, key: &Key, cost: u32) -> Decision {
        // Every check has a decision; this is only so that nothing needs to panic.
        let only = |mut decisions: Decisions| {
            let none = || Decision::uncounted(policy, policy.quota(), true, StoreErrorKind::Other);
            decisions.pop().unwrap_or_else(none)
        };
        // What is decided at once takes no room in what waits.
        let later = match self.begin(&[Check::new(policy, key).cost(cost)]) {
            Checking::Done(decisions) => return only(decisions),
            Checking::Asked(later) => later,
        };
        only(later.await)
    }

    pub(super) fn check_in(&self, store: &SharedStore, checks: &[Check<'_>], places: Option<Places>) -> Checking {
        let asked = self.inner.settings.clock.micros();
        let limits = self.inner.spent.is_on().then(|| self.limits(checks));
        if let Some(verdicts) = limits.as_ref().and_then(|limits| self.inner.spent.refuse(asked, limits)) {
            let decision = |(check, verdict): (&Check<'_>, _)| {
                Decision::counted(check.policy, check.policy.quota(), verdict).remember()
            };
            let decisions = checks.iter().zip(verdicts).map(decision).collect();
            return Checking::Done(spread(decisions, places.as_ref()));
        }
        let group = Group::new(Op::Check, checks.iter().map(|check| self.redis_check(check)).collect());
        let mut pending = self.pending(checks, places);
        pending.limits = limits.map(|limits| (limits, asked));
        match store.ask(group) {
            Ok(answer) => Checking::Asked(Box::pin(Asked::new(answer, self.clone(), pending))),
            Err(error) => Checking::Done(pending.settle(self, Err(error))),
        }
    }

    fn limits(&self, checks: &[Check<'_>]) -> Limits {
        checks.iter().map(|check| self.limit(check)).collect()
    }

    fn limit(&self, check: &Check<'_>) -> Limit {
        let quota = check.policy.quota();
        let key = self.localize(check.key);
        let fingerprint = self.inner.spent.fingerprint(check.policy.name(), quota.algorithm(), &key);
        Limit { fingerprint, quota, cost: check.cost, shadow: check.policy.is_shadow() }
    }

    /// After an answer.
    pub(super) fn remember(&self, limits: &Limits, asked: u64, verdicts: &Verdicts) {
        if verdicts.iter().any(|verdict| !verdict.admitted) {
            self.inner.spent.learn(asked, self.inner.settings.clock.micros(), limits, verdicts);
        }
    }

    /// After something was given back, or may have been.
    pub(super) fn forget_refusals(&self, check: &Check<'_>) {
        self.inner.spent.forget(self.inner.settings.clock.micros(), self.limit(check).fingerprint);
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

    fn pending(&self, checks: &[Check<'_>], places: Option<Places>) -> Pending {
        let local = checks.iter().any(|check| self.on_error(check.policy).local_parts().is_some());
        Pending {
            policies: checks.iter().map(|check| check.policy.clone()).collect(),
            local: local.then(|| checks.iter().map(|check| self.local_check(check)).collect()),
            places,
            limits: None,
        }
    }

    fn local_check(&self, check: &Check<'_>) -> MemoryCheck {
        let mut local = self.memory_check(self.local(), check);
        if let Some(servers) = self.on_error(check.policy).local_parts() {
            let share = local.quota.share(servers);
            // What the quota allows at once, its share does as well.
            if local.cost <= local.quota.capacity() {
                local.cost = local.cost.min(share.capacity());
            }
            local.quota = share;
        }
        local
    }

    pub(super) fn local(&self) -> &MemoryStore {
        self.inner.local.get_or_init(|| MemoryStore::new(self.inner.settings.max_keys))
    }

    pub(super) fn on_error(&self, policy: &Policy) -> OnError {
        policy.failure_policy().unwrap_or(self.inner.settings.on_error)
    }
}

pub(super) fn task_ended() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the connection's task has ended with its runtime")
}
