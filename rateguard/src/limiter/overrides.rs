//! Policies as they apply now: with the quotas that were set since they were written, and as shadows if all are.

use std::borrow::Cow;
use std::time::Duration;

use smallvec::SmallVec;

use super::policies::KnownPolicy;
use super::{Check, Checking, RateGuard};
use crate::policy::Policy;
use crate::quota::Quota;
use crate::telemetry::log;

impl RateGuard {
    /// Changes the quota of the policies of this name, in place of the one that the program was written with: on this
    /// server, from the next check on. What was counted stays counted.
    ///
    /// Returns whether a policy of this name is known. If not, the quota is kept and applies as soon as the policy is met:
    /// a layer's policies are known when the layer is made, a handler's with its first request. One that is still unknown
    /// after a minute is told to the log; [`unmatched_quotas`](RateGuard::unmatched_quotas) lists them.
    ///
    /// Another algorithm counts under another key, so it begins with nothing counted. Where servers share counts, tell
    /// all of them: until then each goes by its own quota. A window that is made longer may, once, forget what was counted
    /// before the change.
    ///
    /// ```
    /// # use rateguard::{Key, KeyBy, Quota, RateGuard, RateLimitLayer};
    /// # use std::time::Duration;
    /// let limiter = RateGuard::memory();
    /// let layer = RateLimitLayer::new(limiter.clone()).limit("global", Quota::sliding_window(100, Duration::from_secs(60)), KeyBy::Ip);
    /// assert!(limiter.set_quota("global", "20/1m".parse()?));
    /// assert!(!limiter.set_quota("glabol", "20/1m".parse()?), "nobody has met this name");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_quota(&self, name: impl AsRef<str>, quota: Quota) -> bool {
        let name = name.as_ref();
        let known = self.inner.policies.set(name, quota, self.inner.settings.clock.micros());
        log::quota_set(name, quota, known);
        known
    }

    /// Takes a quota that was set for the policies of this name back: the one that the program was written with applies
    /// again. Returns whether there was one.
    pub fn unset_quota(&self, name: impl AsRef<str>) -> bool {
        let name = name.as_ref();
        let was_set = self.inner.policies.unset(name);
        if was_set {
            log::quota_unset(name);
        }
        was_set
    }

    /// All policies that this limiter has met, by name, with the quotas that apply now. A layer's are known when the layer
    /// is made, a handler's with its first request. At most 10 000 are kept.
    pub fn policies(&self) -> Vec<KnownPolicy> {
        self.inner.policies.known()
    }

    /// Names for which a quota is set, and which no policy has had so far: misspelt, or not met yet.
    pub fn unmatched_quotas(&self) -> Vec<String> {
        self.inner.policies.unmatched()
    }

    /// Takes note of a policy before anybody asks about it.
    #[inline]
    pub(crate) fn meet(&self, policy: &Policy) {
        self.inner.policies.meet(policy);
    }

    /// Starts a check of several limits together, as they apply now. A shared store is waited for as long as is left.
    pub(crate) fn begin(&self, checks: &[Check<'_>], left: Duration) -> Checking {
        for check in checks {
            self.meet(check.policy);
        }
        if !self.is_tuned() {
            return self.watch(checks, self.begin_as_written(checks, left));
        }
        let policies: SmallVec<[Cow<'_, Policy>; 2]> = checks.iter().map(|check| self.current(check.policy)).collect();
        let checks: SmallVec<[Check<'_>; 2]> =
            checks.iter().zip(&policies).map(|(check, policy)| Check { policy, ..*check }).collect();
        self.watch(&checks, self.begin_as_written(&checks, left))
    }

    /// The policy as it applies now.
    pub(super) fn current<'p>(&self, policy: &'p Policy) -> Cow<'p, Policy> {
        if !self.is_tuned() {
            return Cow::Borrowed(policy);
        }
        let policies = &self.inner.policies;
        policies.report(|| self.inner.settings.clock.micros());
        let quota = if policies.any_set() { policies.quota_set(policy.name()) } else { None };
        let shadow = self.inner.settings.shadow && !policy.is_shadow();
        if quota.is_none() && !shadow {
            return Cow::Borrowed(policy);
        }
        let mut current = policy.clone().with_quota(quota.unwrap_or(policy.quota()));
        if shadow {
            current = current.shadow(true);
        }
        Cow::Owned(current)
    }

    /// Whether policies may be other than they were written.
    #[inline]
    pub(super) fn is_tuned(&self) -> bool {
        self.inner.settings.shadow || self.inner.policies.any_set()
    }
}
