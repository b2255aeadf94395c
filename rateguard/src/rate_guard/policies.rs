//! The policies that a limiter knows, and their overrides.

use super::RateGuard;
use crate::http::handler_limits::HandlerLimits;
use crate::limiter::PolicyInfo;
use crate::policy::Policy;
use crate::quota::Quota;

/// Overrides, and the known policies.
impl RateGuard {
    /// Overrides the quota of the policies of this name, on this server, from the next check on. What was counted stays
    /// counted.
    ///
    /// Returns whether a policy of this name is known. A layer's policies are known when the layer is made; a handler's
    /// policy is known from its first request on, or when it is [registered](Self::register_handlers). If the name is not
    /// known yet, the override is kept, and applies as soon as the policy is known. After a minute, the log shows the names
    /// that are still unknown, and [`unmatched_quotas`](RateGuard::unmatched_quotas) lists them.
    ///
    /// Another algorithm counts under another key, so its count starts at zero. If several servers share counts, set the
    /// override on all of them; until then, each server applies its own quota. A longer window may, once, miss units that
    /// were counted before the change.
    ///
    /// ```
    /// # use rateguard::{Key, KeyBy, Quota, RateGuard, RateLimitLayer};
    /// # use std::time::Duration;
    /// let limiter = RateGuard::memory();
    /// let layer = RateLimitLayer::new(limiter.clone()).limit("global", Quota::sliding_window(100, Duration::from_secs(60)), KeyBy::Ip);
    /// assert!(limiter.set_quota("global", "20/1m".parse()?));
    /// assert!(!limiter.set_quota("glabol", "20/1m".parse()?), "no policy has this name");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_quota(&self, name: impl AsRef<str>, quota: Quota) -> bool {
        self.limiter().set_quota(name.as_ref(), quota)
    }

    /// Removes the override for this name, so that the quota in the program applies again. Returns whether there was one.
    pub fn unset_quota(&self, name: impl AsRef<str>) -> bool {
        self.limiter().unset_quota(name.as_ref())
    }

    /// Makes a policy known before its first check, so that [`policies`](Self::policies) lists it, and
    /// [`set_quota`](Self::set_quota) and [`unmatched_quotas`](Self::unmatched_quotas) know its name.
    pub fn register(&self, policy: &Policy) {
        self.limiter().register(policy);
    }

    /// Makes the policies of handlers known before their first requests, as [`register`](Self::register) does for one policy.
    ///
    /// ```
    /// use rateguard::{RateGuard, handlers, rate_limit};
    ///
    /// mod api {
    ///     #[rateguard::rate_limit(limit = 10, window = "1h", name = "login")]
    ///     pub async fn login() {}
    /// }
    ///
    /// #[rate_limit(limit = 5, window = 60, name = "search")]
    /// async fn search() {}
    ///
    /// let limiter = RateGuard::memory();
    /// limiter.register_handlers(handlers![search, api::login]);
    /// let names: Vec<_> = limiter.policies().iter().map(|policy| policy.name().to_owned()).collect();
    /// assert_eq!(names, ["login", "search"]);
    /// ```
    pub fn register_handlers(&self, handlers: impl IntoIterator<Item = HandlerLimits>) {
        for HandlerLimits(limits) in handlers {
            for limit in limits {
                self.register_limit(limit);
            }
        }
    }

    /// The known policies, sorted by name, with the quotas that apply now. A layer's policies are known when the layer is
    /// made; a handler's policy is known from its first request on, or when it is [registered](Self::register_handlers). At
    /// most 10 000 are kept.
    pub fn policies(&self) -> Vec<PolicyInfo> {
        self.limiter().policies()
    }

    /// The names of overrides that no known policy has: misspelt names, or policies that are not known yet.
    pub fn unmatched_quotas(&self) -> Vec<String> {
        self.limiter().unmatched_quotas()
    }
}
