//! The handle: the limiter, with the settings for HTTP.

mod policies;

use std::fmt;
use std::sync::Arc;

use crate::decision::{Check, Decision};
use crate::error::StoreError;
use crate::http::limit::HttpLimit;
use crate::http::settings::Settings;
use crate::key::Key;
use crate::limiter::Limiter;
use crate::policy::Policy;
use crate::quota::Quota;

/// Decides which requests may go on. One handle for the whole program, cheap to clone.
///
/// ```
/// use rateguard::{Key, Policy, Quota, RateGuard};
/// use std::time::Duration;
///
/// const LOGIN: Policy = Policy::new("login", Quota::sliding_window(2, Duration::from_secs(60)));
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let limiter = RateGuard::memory();
/// let alice = Key::user("alice");
/// assert_eq!(limiter.check(&LOGIN, &alice).await.remaining(), 1);
/// assert_eq!(limiter.check(&LOGIN, &alice).await.remaining(), 0);
/// let third = limiter.check(&LOGIN, &alice).await;
/// assert!(!third.allowed());
/// assert!(third.retry_after().unwrap() <= Duration::from_secs(60));
/// # }
/// ```
#[doc(alias = "RateLimiter")]
#[doc(alias = "throttle")]
#[derive(Clone)]
pub struct RateGuard {
    inner: Arc<Inner>,
}

struct Inner {
    limiter: Limiter,
    http: Settings,
}

/// Checks.
impl RateGuard {
    /// Takes one unit of the policy's quota for this key.
    #[must_use = "a decision does nothing by itself: look at `allowed()`, or use `into_result()?`"]
    pub async fn check(&self, policy: &Policy, key: &Key) -> Decision {
        self.limiter().check(policy, key, 1).await
    }

    /// Takes `cost` units, all or none. A cost of 0 takes nothing and is always allowed. A cost above the limit is always
    /// denied, without a [`retry_after`](Decision::retry_after).
    #[doc(alias = "check_n")]
    #[must_use = "a decision does nothing by itself: look at `allowed()`, or use `into_result()?`"]
    pub async fn check_cost(&self, policy: &Policy, key: &Key, cost: u32) -> Decision {
        self.limiter().check(policy, key, cost).await
    }

    /// Decides several checks together, in one round trip: if one of them denies, none is charged. The decisions come in
    /// the order of the checks. The whole may go on if every one of them is [`allowed`](Decision::allowed).
    ///
    /// Checks with the same policy name, algorithm and key share one count. They take their units together, and all of
    /// them must hold: a shadow policy gives way to one that enforces, and of two quotas the tighter one decides (the smaller
    /// limit in the longer window; of token buckets, the smaller burst at the slower rate).
    #[must_use = "decisions do nothing by themselves: look at `allowed()` of each"]
    pub async fn check_all(&self, checks: &[Check<'_>]) -> Vec<Decision> {
        self.limiter().check_all(checks).await.into_vec()
    }

    /// What a check of cost 1 would be answered, without making it. Changes nothing.
    ///
    /// Where this process counts in the store's place, its own count answers, and the decision is
    /// [`degraded`](Decision::degraded).
    ///
    /// # Errors
    ///
    /// When neither the store nor this process counts: there is an outage and the policy is
    /// [`OnError::Open`](crate::OnError::Open), or the store gave no answer and the policy is
    /// [`OnError::Closed`](crate::OnError::Closed). And when somebody has to mend something: access rules, or a value under
    /// the key that the limiter did not write.
    pub async fn peek(&self, policy: &Policy, key: &Key) -> Result<Decision, StoreError> {
        self.limiter().peek(policy, key).await
    }

    /// As [`peek`](Self::peek), under another quota than the policy's: for policies whose quota depends on the request, such
    /// as a plan.
    ///
    /// # Errors
    ///
    /// As for [`peek`](Self::peek).
    pub async fn peek_with(&self, policy: &Policy, quota: Quota, key: &Key) -> Result<Decision, StoreError> {
        self.limiter().peek(&policy.clone().with_quota(quota).by_request(), key).await
    }

    /// Forgets what this key has used: it has its whole quota again.
    ///
    /// Where this process counts in the store's place, its own count is forgotten, and the log warns that the store's may
    /// not be. Where a [full](crate::RateGuardBuilder::max_keys) memory store counts several clients together, that count
    /// stays until it runs out.
    ///
    /// # Errors
    ///
    /// When neither the store nor this process counts. If only the answer was lost, the key has been reset all the same.
    pub async fn reset(&self, policy: &Policy, key: &Key) -> Result<(), StoreError> {
        self.limiter().reset(policy, key).await
    }

    /// Gives `cost` units back, or as many as are still counted: never more than the whole quota.
    ///
    /// Of a sliding window the oldest units go, so that the limit still holds for those that stay;
    /// [`refund_decision`](Self::refund_decision) gives back the very units of one check. Where this process counts in the
    /// store's place, they go from its own count. Where a [full](crate::RateGuardBuilder::max_keys) memory store counts
    /// several clients together, nothing is given back.
    ///
    /// # Errors
    ///
    /// When neither the store nor this process counts. If only the answer was lost, the units have been given back all the
    /// same.
    pub async fn refund(&self, policy: &Policy, key: &Key, cost: u32) -> Result<(), StoreError> {
        self.limiter().refund(policy, key, cost).await
    }

    /// Gives back the units that one check has charged, if they still count. Given back a second time, or after a
    /// [`reset`](Self::reset), nothing happens, and neither if the check was denied and so charged nothing.
    ///
    /// ```
    /// # use rateguard::{Key, Policy, Quota, RateGuard};
    /// const EXPORT: Policy = Policy::new("export", Quota::per_hour(10));
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), rateguard::StoreError> {
    /// let limiter = RateGuard::memory();
    /// let decision = limiter.check(&EXPORT, &Key::user(7)).await;
    /// // The export failed for a reason that is not the client's.
    /// limiter.refund_decision(&decision).await?;
    /// assert_eq!(limiter.peek(&EXPORT, &Key::user(7)).await?.remaining(), 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the store does not answer. If only the answer was lost, the units have been given back all the same.
    pub async fn refund_decision(&self, decision: &Decision) -> Result<(), StoreError> {
        self.give_back(decision, decision.cost()).await
    }

    /// Gives back a part of what a check has charged. For tests of the rules.
    #[cfg(feature = "test-util")]
    #[doc(hidden)]
    pub async fn refund_part(&self, decision: &Decision, cost: u32) -> Result<(), StoreError> {
        self.give_back(decision, cost).await
    }

    async fn give_back(&self, decision: &Decision, cost: u32) -> Result<(), StoreError> {
        match decision.receipt() {
            Some(receipt) => {
                let check = decision.check().as_check().cost(cost);
                self.limiter().give_back(&check, Some(receipt), decision.is_counted_here()).await
            }
            None => Ok(()),
        }
    }

    /// Whether the store answers, for a health check; of a cluster, every node that has keys.
    ///
    /// # Errors
    ///
    /// The reason why it does not, at the latest when the deadline has passed.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.limiter().ready().await
    }

    /// Closes the limiter, for a graceful shutdown: call it when the last request has been answered.
    ///
    /// Checks, refunds and resets that were begun before are still sent to the store and answered, for at most the
    /// [`deadline`](crate::RateGuardBuilder::deadline). This includes refunds that nobody waits for, such as those of
    /// `refund_if`. Then the connections are closed and the limiter's tasks end, even if there are other clones of this
    /// handle. Without `close`, they end when the last clone is dropped and what was begun is answered; a runtime that
    /// shuts down first cuts them off.
    ///
    /// A closed limiter stays closed. It no longer asks the store: the failure policy
    /// ([`OnError`](crate::OnError)) answers checks, as during an outage, with the reason
    /// [`StoreErrorKind::Closed`](crate::StoreErrorKind::Closed). [`ready`](Self::ready) is an error.
    ///
    /// `close` can be called several times, and on any runtime. With a memory store it does nothing.
    ///
    /// ```no_run
    /// # use axum::Router;
    /// # use rateguard::RateGuard;
    /// # use std::net::SocketAddr;
    /// # async fn shutdown_signal() {}
    /// # async fn run(app: Router, limiter: RateGuard) -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    /// axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
    ///     .with_graceful_shutdown(shutdown_signal())
    ///     .await?;
    /// limiter.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn close(&self) {
        self.limiter().close().await;
    }
}

impl RateGuard {
    pub(crate) fn new(limiter: Limiter, http: Settings) -> RateGuard {
        RateGuard { inner: Arc::new(Inner { limiter, http }) }
    }

    /// Takes note of a limit: of its policy, and for clients who ask for their usage.
    #[inline]
    pub(crate) fn register_limit(&self, limit: &HttpLimit) {
        if self.limiter().register(limit.policy()) {
            self.http().registry.add(limit);
        }
    }

    /// Without HTTP.
    pub(crate) fn limiter(&self) -> &Limiter {
        &self.inner.limiter
    }

    pub(crate) fn http(&self) -> &Settings {
        &self.inner.http
    }
}

/// Shows where it counts, and whether the store can be reached.
impl fmt::Debug for RateGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateGuard").field("store", &format!("{:?}", self.limiter())).finish_non_exhaustive()
    }
}
