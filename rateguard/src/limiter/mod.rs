//! The limiter: a policy and a key go to the store, within a deadline, and come back as a decision.

#[cfg(feature = "_shared")]
mod asked;
mod checking;
#[cfg(feature = "_shared")]
mod deny_cache;
mod group;
mod overrides;
#[cfg(feature = "_shared")]
mod pending;
mod policies;
#[cfg(feature = "_shared")]
mod remote;
mod report;
mod settled;
mod warnings;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
#[cfg(feature = "metrics")]
use std::sync::atomic::AtomicU64;
use std::time::Duration;

pub(crate) use checking::{Checking, Later};
pub use group::Check;
pub(crate) use group::Decisions;
pub use policies::KnownPolicy;
pub(crate) use settled::Settled;

use crate::algorithm::Receipt;
use crate::builder::RateGuardBuilder;
use crate::clock::TimeSource;
use crate::decision::Decision;
use crate::error::{ConfigError, StoreError};
use crate::http::client_ip::ClientIp;
use crate::http::denied::OnDenied;
use crate::http::headers::Headers;
use crate::key::Key;
use crate::key::encode::KeyWriter;
use crate::key::prefix::Prefixes;
use crate::policy::{OnError, Policy};
use crate::quota::Quota;
use crate::store::memory::MemoryStore;
#[cfg(feature = "_shared")]
use crate::store::remote::{SharedStore, script::Op};
use crate::telemetry;
#[cfg(feature = "_shared")]
use deny_cache::Spent;
use policies::Policies;
use warnings::Warnings;

/// Decides who may go on. One handle for the whole program, cheap to clone.
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
#[derive(Clone)]
pub struct RateGuard {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    /// Where this process counts what a shared store does not.
    #[cfg(feature = "_shared")]
    pub(crate) local: MemoryStore,
    warnings: Warnings,
    policies: Policies,
    /// When to measure again how much is kept here.
    #[cfg(feature = "metrics")]
    sizes_due: AtomicU64,
    /// Refusals of a shared store that are still certain.
    #[cfg(feature = "_shared")]
    spent: Arc<Spent>,
}

/// What the builder decided.
pub(crate) struct Settings {
    pub(crate) prefix: String,
    pub(crate) deadline: Duration,
    pub(crate) on_error: OnError,
    pub(crate) max_keys: usize,
    pub(crate) writer: KeyWriter,
    pub(crate) compact_log: bool,
    pub(crate) deny_cache: Duration,
    pub(crate) client_ip: ClientIp,
    pub(crate) prefixes: Prefixes,
    pub(crate) clock: TimeSource,
    pub(crate) headers: Headers,
    pub(crate) shadow: bool,
    pub(crate) on_denied: Option<OnDenied>,
}

/// Where the limiter counts.
pub(crate) enum Store {
    Memory(MemoryStore),
    #[cfg(feature = "_shared")]
    Shared(SharedStore),
}

impl RateGuard {
    /// Counts in this process alone.
    pub fn memory() -> RateGuard {
        RateGuardBuilder::memory_default()
    }

    /// Counts in Redis, together with every other server that uses the same one.
    ///
    /// The connection is made in the background and never waited for: if Redis is down, the failure policy answers
    /// until it is up.
    ///
    /// # Errors
    ///
    /// When the URL is not one of the forms that [`RateGuardBuilder::redis`] lists.
    pub fn redis(url: impl AsRef<str>) -> Result<RateGuard, ConfigError> {
        RateGuard::builder().redis(url).build()
    }

    /// Counts in Upstash's Redis by its REST protocol, as [`redis`](RateGuard::redis) does in Redis.
    ///
    /// # Errors
    ///
    /// When the URL or the token cannot be used; see [`RateGuardBuilder::upstash`]. Neither is shown.
    #[cfg(feature = "upstash")]
    pub fn upstash(url: impl AsRef<str>, token: impl AsRef<str>) -> Result<RateGuard, ConfigError> {
        RateGuard::builder().upstash(url, token).build()
    }

    /// Counts where the environment says: in Redis at `REDIS_URL`; if that is not set, in Upstash's Redis at
    /// `UPSTASH_REDIS_REST_URL` with `UPSTASH_REDIS_REST_TOKEN` (feature `upstash`); and in this process if none of them
    /// is. With the quotas of [`RATEGUARD_QUOTAS`](RateGuardBuilder::quotas_from_env), if there are any.
    ///
    /// # Errors
    ///
    /// When one of them is set to what cannot be used, or to what this build has no feature for, or one of Upstash's
    /// without the other. It never falls back to counting in this process then. When a quota cannot be read.
    pub fn from_env() -> Result<RateGuard, ConfigError> {
        RateGuard::builder().store_from_env().quotas_from_env().build()
    }

    /// A limiter with settings of your own.
    pub fn builder() -> RateGuardBuilder {
        RateGuardBuilder::new()
    }

    pub(crate) fn from_parts(store: Store, settings: Settings, quotas: HashMap<String, Quota>) -> RateGuard {
        let policies = Policies::new(quotas, settings.clock.micros());
        let warnings = Warnings::default();
        telemetry::describe();
        #[cfg(feature = "_shared")]
        let spent = Arc::new(Spent::new(match store {
            Store::Memory(_) => Duration::ZERO,
            Store::Shared(_) => settings.deny_cache,
        }));
        #[cfg(feature = "_shared")]
        let local = MemoryStore::new(settings.max_keys);
        let inner = Inner {
            store,
            settings,
            #[cfg(feature = "_shared")]
            local,
            warnings,
            policies,
            #[cfg(feature = "metrics")]
            sizes_due: AtomicU64::new(0),
            #[cfg(feature = "_shared")]
            spent,
        };
        RateGuard { inner: Arc::new(inner) }
    }

    /// Takes one unit of the policy's quota for this key.
    pub async fn check(&self, policy: &Policy, key: &Key) -> Decision {
        match &self.inner.store {
            Store::Memory(store) => self.check_now(store, policy, key, 1),
            #[cfg(feature = "_shared")]
            Store::Shared(_) => self.check_shared(policy, key, 1).await,
        }
    }

    /// Takes `cost` units, all or none. A cost of 0 takes nothing and is always allowed; one above the limit is
    /// refused for ever, without a [`retry_after`](Decision::retry_after).
    pub async fn check_cost(&self, policy: &Policy, key: &Key, cost: u32) -> Decision {
        match &self.inner.store {
            Store::Memory(store) => self.check_now(store, policy, key, cost),
            #[cfg(feature = "_shared")]
            Store::Shared(_) => self.check_shared(policy, key, cost).await,
        }
    }

    /// Decides several checks together, in one round trip: if one of them refuses, none is charged. The decisions
    /// come in the order of the checks; the whole may go on if every one of them is
    /// [`allowed`](Decision::allowed).
    ///
    /// Checks of one policy name, algorithm and key count in one bucket. They take what they take together, and must all
    /// hold: shadows give way to those that enforce, and the tighter quota decides (if neither is, the smaller limit in
    /// the longer window; of token buckets, the smaller burst at the slower rate).
    pub async fn check_all(&self, checks: &[Check<'_>]) -> Vec<Decision> {
        let later = match self.begin(checks, self.deadline()) {
            Checking::Done(decisions) => return decisions.into_vec(),
            Checking::Asked(later) => later,
        };
        later.await.decisions.into_vec()
    }

    /// What a check of cost 1 would be answered, without making it. Changes nothing.
    ///
    /// Where this process counts while the store does not, its own count answers, and the decision is
    /// [`degraded`](Decision::degraded).
    ///
    /// # Errors
    ///
    /// When neither the store nor this process counts: the store is away and the policy is
    /// [`OnError::Open`](OnError::Open), or it gave no answer and the policy is [`OnError::Closed`](OnError::Closed). And
    /// when somebody has to mend something: access rules, or a value under the key that the limiter did not write.
    pub async fn peek(&self, policy: &Policy, key: &Key) -> Result<Decision, StoreError> {
        let policy = &*self.current(policy);
        let check = Check::new(policy, key);
        let verdict = match &self.inner.store {
            Store::Memory(store) => Some(store.peek(&self.inner.settings.clock, &self.memory_check(store, &check))),
            #[cfg(feature = "_shared")]
            Store::Shared(store) => match self.ask(store, Op::Peek, &check).await {
                Ok(mut verdicts) => verdicts.pop(),
                Err(error) if self.acts_here(policy, &error) => {
                    let local = self.local_check(policy, &self.memory_check(self.local(), &check));
                    let verdict = self.local().peek(&self.inner.settings.clock, &local);
                    return Ok(Decision::counted(policy, policy.quota(), verdict).degrade(error.kind()));
                }
                Err(error) => return Err(error),
            },
        };
        match verdict {
            Some(verdict) => Ok(Decision::counted(policy, policy.quota(), verdict)),
            None => Err(StoreError::other("the store answered another request")),
        }
    }

    /// Forgets what this key has used: it has its whole quota again.
    ///
    /// Where this process counts while the store does not, its own count is forgotten, and the log is told that the store's
    /// may not be.
    ///
    /// Where a [full](RateGuardBuilder::max_keys) memory store counts several clients together, that count stays until it
    /// runs out.
    ///
    /// # Errors
    ///
    /// When neither the store nor this process counts. The key may have been reset all the same, if only the answer was lost.
    pub async fn reset(&self, policy: &Policy, key: &Key) -> Result<(), StoreError> {
        let policy = &*self.current(policy);
        let check = Check::new(policy, key);
        match &self.inner.store {
            Store::Memory(store) => store.reset(&self.memory_check(store, &check)),
            #[cfg(feature = "_shared")]
            Store::Shared(store) => {
                let _forgetting = self.forgetting(&check);
                self.local().reset(&self.memory_check(self.local(), &check));
                match self.ask(store, Op::Reset, &check).await {
                    Err(error) if self.acts_here(policy, &error) => self.warn(&error),
                    answer => {
                        answer?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives `cost` units back, or as many as are still counted: never more than the whole quota.
    ///
    /// Of a sliding window the oldest units go, so that the limit still holds for those that stay. Where this process counts
    /// while the store does not, they go from its own count.
    ///
    /// Of a sliding window the oldest units go, so that the limit still holds for those that stay. Where a
    /// [full](RateGuardBuilder::max_keys) memory store counts several clients together, nothing is given back.
    ///
    /// # Errors
    ///
    /// When neither the store nor this process counts. The units may have been given back all the same, if only the answer
    /// was lost.
    pub async fn refund(&self, policy: &Policy, key: &Key, cost: u32) -> Result<(), StoreError> {
        let policy = &*self.current(policy);
        match self.give_back(policy, key, cost, None, false).await {
            #[cfg(feature = "_shared")]
            Err(error) if self.acts_here(policy, &error) => self.give_back(policy, key, cost, None, true).await,
            given => given,
        }
    }

    /// Gives back what one check has charged, as far as it still counts, under the quota that the policy has. `here` says
    /// that this process has charged it in the store's place. What there is to be sent is sent at once; the future only
    /// waits until it is done.
    pub(crate) fn give_back(
        &self,
        policy: &Policy,
        key: &Key,
        cost: u32,
        receipt: Option<Receipt>,
        here: bool,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let check = Check::new(policy, key).cost(cost);
        let started = match &self.inner.store {
            Store::Memory(store) => {
                store.refund(&self.inner.settings.clock, &self.memory_check(store, &check), receipt);
                None
            }
            #[cfg(feature = "_shared")]
            Store::Shared(_) if here => {
                let local = self.local_check(policy, &self.memory_check(self.local(), &check));
                self.local().refund(&self.inner.settings.clock, &local, receipt);
                None
            }
            #[cfg(feature = "_shared")]
            Store::Shared(store) => Some((self.forgetting(&check), self.start(store, Op::Refund(receipt), &check))),
        };
        #[cfg(not(feature = "_shared"))]
        let _ = here;
        async move {
            #[cfg(feature = "_shared")]
            if let Some((_forgetting, started)) = started {
                started?.await.result?;
            }
            #[cfg(not(feature = "_shared"))]
            let _: Option<()> = started;
            Ok(())
        }
    }

    /// Gives back what a check of so many units has charged, by its receipt. For tests of the rules.
    #[cfg(feature = "test-util")]
    #[doc(hidden)]
    pub async fn refund_by_receipt(
        &self,
        policy: &Policy,
        key: &Key,
        cost: u32,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        match decision.receipt() {
            Some(receipt) => self.give_back(policy, key, cost, Some(receipt), decision.degraded()).await,
            None => Ok(()),
        }
    }

    /// Whether the store answers, for a health check; of a cluster, every node that has keys.
    ///
    /// # Errors
    ///
    /// The reason why it does not, at the latest when the deadline has passed.
    pub async fn ready(&self) -> Result<(), StoreError> {
        match &self.inner.store {
            Store::Memory(_) => Ok(()),
            #[cfg(feature = "_shared")]
            Store::Shared(store) => store.ping(self.deadline())?.await.result,
        }
    }

    /// How long a request waits for a shared store at most, over all that it asks.
    pub(crate) fn deadline(&self) -> Duration {
        self.inner.settings.deadline
    }

    /// How this limiter finds a client's address.
    pub(crate) fn client_ip(&self) -> &ClientIp {
        &self.inner.settings.client_ip
    }

    /// Which headers tell clients about their quota.
    pub(crate) fn headers(&self) -> Headers {
        self.inner.settings.headers
    }

    /// Who answers for a refusal, if the program does.
    pub(crate) fn on_denied(&self) -> Option<&OnDenied> {
        self.inner.settings.on_denied.as_ref()
    }

    /// Tells the log of something that could not be counted, if that is news.
    pub(crate) fn warn(&self, error: &StoreError) {
        telemetry::store_error(error.kind());
        self.inner.warnings.tell(error, self.inner.settings.clock.micros());
    }
}

/// Shows where it counts, and whether the store can be reached.
impl fmt::Debug for RateGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = match &self.inner.store {
            Store::Memory(store) => format!("memory, {} keys", store.len()),
            #[cfg(feature = "_shared")]
            Store::Shared(store) => format!("{store:?}"),
        };
        f.debug_struct("RateGuard").field("store", &store).finish_non_exhaustive()
    }
}
