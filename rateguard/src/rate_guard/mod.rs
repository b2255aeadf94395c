//! The handle: the limiter and the settings for HTTP.

mod policies;

use std::fmt;
use std::sync::Arc;

use crate::algorithm::Receipt;
use crate::decision::{Check, Decision};
use crate::error::StoreError;
use crate::http::exempt::Exempt;
use crate::http::limit::HttpLimit;
use crate::http::settings::Settings;
use crate::key::Key;
use crate::limiter::Limiter;
use crate::policy::Policy;
use crate::quota::Quota;

/// The limiter. A program needs one; clones are cheap and share it.
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
#[doc(alias = "Limiter")]
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

    /// Takes `cost` units, or none if they do not fit. A cost of 0 takes nothing and is always allowed. A cost above the
    /// limit is always denied, without a [`retry_after`](Decision::retry_after).
    #[doc(alias = "check_n")]
    #[must_use = "a decision does nothing by itself: look at `allowed()`, or use `into_result()?`"]
    pub async fn check_cost(&self, policy: &Policy, key: &Key, cost: u32) -> Decision {
        self.limiter().check(policy, key, cost).await
    }

    /// Decides several checks together, in one round trip. If one of them denies, none is charged. The decisions have the
    /// order of the checks. Go on only if every decision is [`allowed`](Decision::allowed).
    ///
    /// Checks with the same policy name, algorithm and key share one count, so their costs are added and decided as one
    /// check. It is in shadow mode only if all of them are. Of two quotas, the tighter one applies: the smaller limit with
    /// the longer window or, for token buckets, the smaller burst with the slower rate.
    #[must_use = "decisions do nothing by themselves: look at `allowed()` of each"]
    pub async fn check_all(&self, checks: &[Check<'_>]) -> Vec<Decision> {
        self.limiter().check_all(checks).await.into_vec()
    }

    /// Returns what a check of cost 1 would decide now, without charging anything.
    ///
    /// While this process counts instead of the store, the answer comes from this process's count and is
    /// [`degraded`](Decision::degraded).
    ///
    /// # Errors
    ///
    /// - During an outage, if the policy is [`OnError::Open`](crate::OnError::Open).
    /// - When the store gives no answer, if the policy is [`OnError::Closed`](crate::OnError::Closed).
    /// - When an operator has to fix something: the server's access rules, or a value under the key that the limiter did
    ///   not write.
    #[doc(alias = "get_remaining")]
    pub async fn peek(&self, policy: &Policy, key: &Key) -> Result<Decision, StoreError> {
        self.limiter().peek(policy, key).await
    }

    /// Like [`peek`](Self::peek), with another quota than the policy's. For policies whose quota depends on the request, such
    /// as a plan.
    ///
    /// # Errors
    ///
    /// As for [`peek`](Self::peek).
    pub async fn peek_with(&self, policy: &Policy, quota: Quota, key: &Key) -> Result<Decision, StoreError> {
        self.limiter().peek(&policy.clone().with_quota(quota).by_request(), key).await
    }

    /// Deletes the count of this key, so that it has its whole quota again.
    ///
    /// While this process counts instead of the store, this process's count is deleted, and the log warns that the store's
    /// count may still be there. If a [full](crate::RateGuardBuilder::max_keys) memory store counts several clients
    /// together, their shared count stays until it expires.
    ///
    /// # Errors
    ///
    /// When [`peek`](Self::peek) would return an error. If only the answer was lost, the count has been deleted.
    #[doc(alias = "resetKey")]
    pub async fn reset(&self, policy: &Policy, key: &Key) -> Result<(), StoreError> {
        self.limiter().reset(policy, key).await
    }

    /// Gives back `cost` units, or as many as are still counted.
    ///
    /// From a sliding window, it removes the oldest units, so that the limit still holds for the others.
    /// [`refund_decision`](Self::refund_decision) gives back exactly the units of one check. While this process counts
    /// instead of the store, the units are removed from this process's count. If a
    /// [full](crate::RateGuardBuilder::max_keys) memory store counts several clients together, nothing is given back.
    ///
    /// # Errors
    ///
    /// When [`peek`](Self::peek) would return an error. If only the answer was lost, the units have been given back.
    pub async fn refund(&self, policy: &Policy, key: &Key, cost: u32) -> Result<(), StoreError> {
        self.limiter().refund(policy, key, cost).await
    }

    /// Gives back exactly the units that one check has charged, if they still count. It does nothing if they were given back
    /// before, if the key was [`reset`](Self::reset), or if the check charged nothing.
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
    /// When the store does not answer. If only the answer was lost, the units have been given back, so another try does
    /// nothing.
    pub async fn refund_decision(&self, decision: &Decision) -> Result<(), StoreError> {
        self.give_back(decision, decision.use_receipt(), decision.cost()).await
    }

    /// Gives back a part of what a check has charged. For this project's own tests.
    #[cfg(feature = "test-util")]
    #[doc(hidden)]
    pub async fn refund_part(&self, decision: &Decision, cost: u32) -> Result<(), StoreError> {
        self.give_back(decision, decision.receipt(), cost).await
    }

    /// The key that this limiter counts for a key: that of an address is its network. For this project's own examples.
    #[cfg(feature = "test-util")]
    #[doc(hidden)]
    pub fn counted_key(&self, key: &Key) -> Key {
        self.limiter().localize(key).into_owned()
    }

    async fn give_back(&self, decision: &Decision, receipt: Option<Receipt>, cost: u32) -> Result<(), StoreError> {
        match receipt {
            Some(receipt) => {
                let check = decision.check().as_check().cost(cost);
                self.limiter().give_back(&check, Some(receipt), decision.is_counted_here()).await
            }
            None => Ok(()),
        }
    }

    /// Asks whether the store answers, for a health check. In a cluster, every node that has slots must answer.
    ///
    /// # Errors
    ///
    /// The reason why the store does not answer, within the deadline.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.limiter().ready().await
    }

    /// Closes the limiter, for a graceful shutdown: call it when the last request has been answered.
    ///
    /// Checks, refunds and resets that have begun are still sent to the store and answered, for at most the
    /// [`deadline`](crate::RateGuardBuilder::deadline). This includes refunds that no code awaits, such as that of a
    /// request whose client has hung up. Then the connections are closed and the limiter's tasks end, even if other clones of this handle exist.
    /// Without `close`, this happens after the last clone is dropped, unless the runtime shuts down first.
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

    /// Registers a limit: its policy, and the limit itself for clients that ask for their usage.
    #[inline]
    pub(crate) fn register_limit(&self, limit: &HttpLimit) {
        if self.limiter().register_limit(limit.policy()) {
            self.http().registry.add(limit.clone());
        }
    }

    /// The same, for a limit of a layer that does not count these clients.
    pub(crate) fn register_layer_limit(&self, limit: &HttpLimit, exempt: &Exempt) {
        if self.limiter().register_limit(limit.policy()) {
            self.http().registry.add(limit.clone().exempt_also(exempt));
        }
    }

    /// Whether both are handles of one limiter.
    pub(crate) fn is(&self, other: &RateGuard) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The limiter without HTTP.
    pub(crate) fn limiter(&self) -> &Limiter {
        &self.inner.limiter
    }

    pub(crate) fn http(&self) -> &Settings {
        &self.inner.http
    }
}

/// Shows the store and its state.
impl fmt::Debug for RateGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateGuard").field("store", &format!("{:?}", self.limiter())).finish_non_exhaustive()
    }
}
