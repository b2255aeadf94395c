//! The limiter: a policy and a key go to the store, within a deadline, and come back as a decision.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use smallvec::SmallVec;

use crate::client_ip::ClientIp;
use crate::clock::TimeSource;
use crate::config::RateGuardBuilder;
use crate::decision::Decision;
use crate::error::{ConfigError, StoreError, StoreErrorKind};
use crate::key::{Key, Repr};
use crate::key_text::KeyWriter;
use crate::network::{Prefixes, network};
use crate::policy::{OnError, Policy};
#[cfg(feature = "redis")]
use crate::store::Verdicts;
use crate::store::memory::{MemoryCheck, MemoryStore};
#[cfg(feature = "redis")]
use crate::store::redis::{self, Answer, Group, Op, RedisCheck, RedisStore};

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
    /// Where `OnError::Local` counts while the store is away. Made when it is first needed.
    pub(crate) local: OnceLock<MemoryStore>,
    /// When a store error was last logged, in seconds of the clock; 0 is never.
    pub(crate) last_warning: AtomicU64,
}

/// What the builder decided.
pub(crate) struct Settings {
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "for shared stores"))]
    pub(crate) prefix: String,
    pub(crate) deadline: Duration,
    pub(crate) on_error: OnError,
    pub(crate) max_keys: usize,
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "for shared stores"))]
    pub(crate) writer: KeyWriter,
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "for shared stores"))]
    pub(crate) compact_log: bool,
    pub(crate) client_ip: ClientIp,
    pub(crate) prefixes: Prefixes,
    pub(crate) clock: TimeSource,
}

/// Where the limiter counts.
pub(crate) enum Store {
    Memory(MemoryStore),
    #[cfg(feature = "redis")]
    Redis(RedisStore),
}

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

    /// How many units to take. A cost of 0 takes nothing and is always admitted.
    pub const fn cost(mut self, cost: u32) -> Check<'a> {
        self.cost = cost;
        self
    }
}

pub(crate) type Decisions = SmallVec<[Decision; 2]>;

/// Where the decision of each check is to be found, if several share one.
type Places = SmallVec<[usize; 2]>;

fn spread(decisions: Decisions, places: Option<&Places>) -> Decisions {
    match places {
        None => decisions,
        Some(places) => places.iter().filter_map(|&at| decisions.get(at).cloned()).collect(),
    }
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

    /// Counts where the environment says: in Redis at `REDIS_URL`, and in this process if that is not set.
    ///
    /// # Errors
    ///
    /// When `REDIS_URL` is set to anything but a Redis URL. It never falls back to counting in this process then.
    pub fn from_env() -> Result<RateGuard, ConfigError> {
        RateGuard::builder().environment().build()
    }

    /// A limiter with settings of your own.
    pub fn builder() -> RateGuardBuilder {
        RateGuardBuilder::new()
    }

    pub(crate) fn from_parts(store: Store, settings: Settings) -> RateGuard {
        RateGuard {
            inner: Arc::new(Inner { store, settings, local: OnceLock::new(), last_warning: AtomicU64::new(0) }),
        }
    }

    /// Takes one unit of the policy's quota for this key.
    pub async fn check(&self, policy: &Policy, key: &Key) -> Decision {
        self.check_cost(policy, key, 1).await
    }

    /// Takes `cost` units, all or none. A cost of 0 takes nothing and is always admitted; one above the limit is
    /// refused for ever, without a [`retry_after`](Decision::retry_after).
    pub async fn check_cost(&self, policy: &Policy, key: &Key, cost: u32) -> Decision {
        let check = Check::new(policy, key).cost(cost);
        let decision = self.begin(&[check]).await.pop();
        // Every check has a decision; this is only so that nothing needs to panic.
        decision.unwrap_or_else(|| Decision::uncounted(policy, policy.quota(), true, StoreErrorKind::Other))
    }

    /// Decides several checks together, in one round trip: if one of them refuses, none is charged. The decisions
    /// come in the order of the checks; the whole may go on if every one of them is
    /// [`allowed`](Decision::allowed).
    pub async fn check_all(&self, checks: &[Check<'_>]) -> Vec<Decision> {
        self.begin(checks).await.into_vec()
    }

    /// What a check of cost 1 would be answered, without making it. Changes nothing.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. No failure policy applies: a guess would be no answer.
    pub async fn peek(&self, policy: &Policy, key: &Key) -> Result<Decision, StoreError> {
        let check = Check::new(policy, key);
        let verdict = match &self.inner.store {
            Store::Memory(store) => {
                Some(store.peek(self.inner.settings.clock.micros(), &self.memory_check(store, &check)))
            }
            #[cfg(feature = "redis")]
            Store::Redis(store) => self.ask(store, Op::Peek, &check).await?.pop(),
        };
        match verdict {
            Some(verdict) => Ok(Decision::counted(policy, policy.quota(), verdict)),
            None => Err(StoreError::other("the store answered another request")),
        }
    }

    /// Forgets what this key has used: it has its whole quota again.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. The key may have been reset all the same, if only the answer was lost.
    pub async fn reset(&self, policy: &Policy, key: &Key) -> Result<(), StoreError> {
        let check = Check::new(policy, key);
        match &self.inner.store {
            Store::Memory(store) => store.reset(&self.memory_check(store, &check)),
            #[cfg(feature = "redis")]
            Store::Redis(store) => {
                self.ask(store, Op::Reset, &check).await?;
            }
        }
        Ok(())
    }

    /// Gives `cost` units back, or as many as are still counted: never more than the whole quota.
    ///
    /// Of a sliding window the oldest units go, so that the limit still holds for those that stay.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. The units may have been given back all the same, if only the answer was lost.
    pub async fn refund(&self, policy: &Policy, key: &Key, cost: u32) -> Result<(), StoreError> {
        self.refund_charge(policy, key, cost, None).await
    }

    /// Gives back what one check has charged, as far as it still counts.
    pub(crate) async fn refund_charge(
        &self,
        policy: &Policy,
        key: &Key,
        cost: u32,
        receipt: Option<u64>,
    ) -> Result<(), StoreError> {
        let check = Check::new(policy, key).cost(cost);
        match &self.inner.store {
            Store::Memory(store) => {
                store.refund(self.inner.settings.clock.micros(), &self.memory_check(store, &check), receipt);
            }
            #[cfg(feature = "redis")]
            Store::Redis(store) => {
                self.ask(store, Op::Refund(receipt), &check).await?;
            }
        }
        Ok(())
    }

    /// Whether the store answers, for a health check.
    ///
    /// # Errors
    ///
    /// The reason why it does not, at the latest when the deadline has passed.
    pub async fn ready(&self) -> Result<(), StoreError> {
        match &self.inner.store {
            Store::Memory(_) => Ok(()),
            #[cfg(feature = "redis")]
            Store::Redis(store) => self.in_time(store.ping()?).await,
        }
    }

    #[cfg(feature = "redis")]
    async fn ask(&self, store: &RedisStore, op: Op, check: &Check<'_>) -> Result<Verdicts, StoreError> {
        let checks = [self.redis_check(check)].into_iter().collect();
        self.in_time(store.ask(Group { op, checks })?).await
    }

    #[cfg(feature = "redis")]
    async fn in_time<T>(&self, answer: Answer<T>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.inner.settings.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(task_ended()),
            Err(_) => Err(StoreError::timed_out()),
        }
    }

    /// How this limiter finds a client's address.
    pub(crate) fn client_ip(&self) -> &ClientIp {
        &self.inner.settings.client_ip
    }

    /// Starts a check of several limits together.
    pub(crate) fn begin(&self, checks: &[Check<'_>]) -> Checking {
        match checks {
            [] => Checking::done(Decisions::new()),
            [_] => self.begin_distinct(checks, None),
            _ => match self.merge(checks) {
                None => self.begin_distinct(checks, None),
                Some((merged, places)) => self.begin_distinct(&merged, Some(places)),
            },
        }
    }

    fn begin_distinct(&self, checks: &[Check<'_>], places: Option<Places>) -> Checking {
        match &self.inner.store {
            Store::Memory(store) => Checking::done(spread(self.count_in(store, checks), places.as_ref())),
            #[cfg(feature = "redis")]
            Store::Redis(store) => self.check_in(store, checks, places),
        }
    }

    /// Checks that share a bucket become one that takes what they take together, under the quota of the first. `None`
    /// if there are none such, as nearly always.
    fn merge<'c>(&self, checks: &[Check<'c>]) -> Option<(SmallVec<[Check<'c>; 2]>, Places)> {
        let share = |a: &Check<'_>, b: &Check<'_>| {
            a.policy.name() == b.policy.name()
                && a.policy.quota().algorithm() == b.policy.quota().algorithm()
                && self.localize(a.key) == self.localize(b.key)
        };
        let mut merged: SmallVec<[Check<'c>; 2]> = SmallVec::new();
        let mut places = Places::new();
        for check in checks {
            if let Some((at, earlier)) = merged.iter_mut().enumerate().find(|(_, earlier)| share(earlier, check)) {
                earlier.cost = earlier.cost.saturating_add(check.cost);
                places.push(at);
            } else {
                places.push(merged.len());
                merged.push(*check);
            }
        }
        (merged.len() < checks.len()).then_some((merged, places))
    }

    fn count_in(&self, store: &MemoryStore, checks: &[Check<'_>]) -> Decisions {
        let now = self.inner.settings.clock.micros();
        let verdicts = store.check(now, &self.fingerprints(store, checks));
        checks
            .iter()
            .zip(verdicts)
            .map(|(check, verdict)| Decision::counted(check.policy, check.policy.quota(), verdict))
            .collect()
    }

    fn fingerprints(&self, store: &MemoryStore, checks: &[Check<'_>]) -> SmallVec<[MemoryCheck; 2]> {
        checks.iter().map(|check| self.memory_check(store, check)).collect()
    }

    fn memory_check(&self, store: &MemoryStore, check: &Check<'_>) -> MemoryCheck {
        let quota = check.policy.quota();
        let fingerprint = store.fingerprint(check.policy.name(), quota.algorithm(), &self.localize(check.key));
        MemoryCheck { fingerprint, quota, cost: check.cost, shadow: check.policy.is_shadow() }
    }

    /// The key as this limiter counts it: an address stands for its network.
    fn localize<'k>(&self, key: &'k Key) -> Cow<'k, Key> {
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

    #[cfg(feature = "redis")]
    fn check_in(&self, store: &RedisStore, checks: &[Check<'_>], places: Option<Places>) -> Checking {
        let group = Group { op: Op::Check, checks: checks.iter().map(|check| self.redis_check(check)).collect() };
        let pending = self.pending(checks, places);
        match store.ask(group) {
            Ok(answer) => Checking::Asked {
                answer,
                deadline: tokio::time::sleep(self.inner.settings.deadline),
                limiter: self.clone(),
                pending: Some(pending),
            },
            Err(error) => Checking::done(pending.settle(self, Err(error))),
        }
    }

    #[cfg(feature = "redis")]
    fn redis_check(&self, check: &Check<'_>) -> RedisCheck {
        let quota = check.policy.quota();
        RedisCheck {
            key: self.redis_key(check.policy, check.key),
            quota,
            form: redis::form(&quota, self.inner.settings.compact_log, check.policy.is_shadow()),
            cost: check.cost,
            shadow: check.policy.is_shadow(),
        }
    }

    /// `prefix:{identity}:policy:algorithm`. The braces are the only ones, so they are what picks the cluster's slot.
    #[cfg(feature = "redis")]
    pub(crate) fn redis_key(&self, policy: &Policy, key: &Key) -> String {
        let settings = &self.inner.settings;
        let mut text = String::with_capacity(settings.prefix.len() + policy.name().len() + 48);
        text.push_str(&settings.prefix);
        text.push_str(":{");
        settings.writer.write(&mut text, &self.localize(key));
        text.push_str("}:");
        text.push_str(policy.name());
        text.push(':');
        text.push_str(redis::tag(policy.quota().algorithm()));
        text
    }

    #[cfg(feature = "redis")]
    fn pending(&self, checks: &[Check<'_>], places: Option<Places>) -> Pending {
        let local = checks.iter().any(|check| self.on_error(check.policy) == OnError::Local);
        Pending {
            policies: checks.iter().map(|check| check.policy.clone()).collect(),
            local: local.then(|| self.fingerprints(self.local(), checks)),
            places,
        }
    }

    #[cfg(feature = "redis")]
    fn local(&self) -> &MemoryStore {
        self.inner.local.get_or_init(|| MemoryStore::new(self.inner.settings.max_keys))
    }

    #[cfg(feature = "redis")]
    fn on_error(&self, policy: &Policy) -> OnError {
        policy.failure_policy().unwrap_or(self.inner.settings.on_error)
    }

    /// One line an outage is the connection's to write; this is for errors that only some keys meet, and says so at
    /// most every ten seconds.
    pub(crate) fn warn(&self, error: &StoreError) {
        use StoreErrorKind::{TimedOut, Unreachable};
        if matches!(error.kind(), Unreachable | TimedOut) {
            return;
        }
        let now = self.inner.settings.clock.micros() / 1_000_000 + 1;
        let last = self.inner.last_warning.load(Ordering::Relaxed);
        if (last == 0 || now.abs_diff(last) >= 10)
            && self.inner.last_warning.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            tracing::warn!(
                reason = error.kind().name(),
                error = %error,
                "rateguard: a check could not be counted; the failure policy answered"
            );
        }
    }
}

impl fmt::Debug for RateGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = match &self.inner.store {
            Store::Memory(store) => format!("memory, {} keys", store.len()),
            #[cfg(feature = "redis")]
            Store::Redis(store) => format!("{store:?}"),
        };
        f.debug_struct("RateGuard")
            .field("store", &store)
            .field("deadline", &self.inner.settings.deadline)
            .field("on_error", &self.inner.settings.on_error)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "redis")]
fn task_ended() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the connection's task has ended with its runtime")
}

/// What is needed to make decisions of the store's answer, or without one.
#[cfg(feature = "redis")]
#[derive(Debug)]
pub(crate) struct Pending {
    policies: SmallVec<[Policy; 2]>,
    /// The checks as the local store knows them, if a policy wants that.
    local: Option<SmallVec<[MemoryCheck; 2]>>,
    places: Option<Places>,
}

#[cfg(feature = "redis")]
impl Pending {
    fn settle(self, limiter: &RateGuard, answer: Result<Verdicts, StoreError>) -> Decisions {
        let answer = match answer {
            Ok(verdicts) if verdicts.len() != self.policies.len() => {
                Err(StoreError::other("the store answered another request"))
            }
            answer => answer,
        };
        let decisions = match answer {
            Ok(verdicts) => self
                .policies
                .iter()
                .zip(verdicts)
                .map(|(policy, verdict)| Decision::counted(policy, policy.quota(), verdict))
                .collect(),
            Err(error) => self.without_store(limiter, &error),
        };
        spread(decisions, self.places.as_ref())
    }

    fn without_store(&self, limiter: &RateGuard, error: &StoreError) -> Decisions {
        limiter.warn(error);
        let reason = error.kind();
        let counted = self.local.as_ref().map(|checks| {
            let now = limiter.inner.settings.clock.micros();
            limiter.local().check(now, checks)
        });
        let verdict = |at: usize| counted.as_ref().and_then(|verdicts| verdicts.get(at)).copied();
        self.policies
            .iter()
            .enumerate()
            .map(|(at, policy)| match (limiter.on_error(policy), verdict(at)) {
                (OnError::Local, Some(verdict)) => Decision::counted(policy, policy.quota(), verdict).degrade(reason),
                (on_error, _) => Decision::uncounted(policy, policy.quota(), on_error != OnError::Closed, reason),
            })
            .collect()
    }
}

pin_project! {
    /// A check that is under way.
    #[project = CheckingProjection]
    #[allow(clippy::large_enum_variant, reason = "boxing would cost every request an allocation")]
    pub(crate) enum Checking {
        Done { decisions: Option<Decisions> },
        #[cfg(feature = "redis")]
        Asked {
            #[pin]
            answer: Answer<Verdicts>,
            #[pin]
            deadline: tokio::time::Sleep,
            limiter: RateGuard,
            pending: Option<Pending>,
        },
    }
}

impl Checking {
    fn done(decisions: Decisions) -> Checking {
        Checking::Done { decisions: Some(decisions) }
    }

    /// The decisions, if nothing needs to be waited for.
    #[allow(clippy::result_large_err, reason = "the other half of one value, not an error")]
    pub(crate) fn now_or_later(self) -> Result<Decisions, Checking> {
        match self {
            Checking::Done { decisions } => Ok(decisions.unwrap_or_default()),
            #[cfg(feature = "redis")]
            later @ Checking::Asked { .. } => Err(later),
        }
    }
}

impl Future for Checking {
    type Output = Decisions;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Decisions> {
        match self.project() {
            CheckingProjection::Done { decisions } => {
                let _ = cx;
                Poll::Ready(decisions.take().unwrap_or_default())
            }
            #[cfg(feature = "redis")]
            CheckingProjection::Asked { answer, deadline, limiter, pending } => {
                let answer = match answer.poll(cx) {
                    Poll::Ready(Ok(answer)) => answer,
                    // The task went away with its runtime; it may have sent the call, so it is not sent again.
                    Poll::Ready(Err(_)) => Err(task_ended()),
                    Poll::Pending => match deadline.poll(cx) {
                        Poll::Ready(()) => Err(StoreError::timed_out()),
                        Poll::Pending => return Poll::Pending,
                    },
                };
                Poll::Ready(pending.take().map(|pending| pending.settle(limiter, answer)).unwrap_or_default())
            }
        }
    }
}
