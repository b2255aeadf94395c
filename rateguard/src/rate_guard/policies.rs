//! The policies that a limiter knows, and the quotas that are set for them while the program runs.

use super::RateGuard;
use crate::http::handler_limits::HandlerLimits;
use crate::limiter::PolicyInfo;
use crate::policy::Policy;
use crate::quota::Quota;

/// Quotas that are set while the program runs.
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
        self.limiter().set_quota(name.as_ref(), quota)
    }

    /// Takes a quota that was set for the policies of this name back: the one that the program was written with applies
    /// again. Returns whether there was one.
    pub fn unset_quota(&self, name: impl AsRef<str>) -> bool {
        self.limiter().unset_quota(name.as_ref())
    }

    /// Takes note of a policy before it is checked for the first time, so that [`policies`](Self::policies) lists it, and
    /// [`set_quota`](Self::set_quota) and [`unmatched_quotas`](Self::unmatched_quotas) know its name.
    pub fn register(&self, policy: &Policy) {
        let _ = self.limiter().register(policy);
    }

    /// Takes note of the limits of handlers before their first requests, as [`register`](Self::register) does of a policy.
    /// Without it, a handler's policies are known from its first request on.
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
            limits.iter().for_each(|limit| self.register_limit(limit));
        }
    }

    /// All policies that this limiter has met, by name, with the quotas that apply now. A layer's are known when the layer
    /// is made, a handler's with its first request. At most 10 000 are kept.
    pub fn policies(&self) -> Vec<PolicyInfo> {
        self.limiter().policies()
    }

    /// Names for which a quota is set, and which no policy has had so far: misspelt, or not met yet.
    pub fn unmatched_quotas(&self) -> Vec<String> {
        self.limiter().unmatched_quotas()
    }
}
