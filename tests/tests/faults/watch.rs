//! What is measured in each row, and asserted of every check.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rateguard::{Algorithm, Decision, Key, Policy, Quota, RateGuard, StoreErrorKind};

pub(crate) const DEADLINE: Duration = Duration::from_millis(100);
/// Scheduling on a busy machine is not the limiter's.
pub(crate) const A_LITTLE: Duration = Duration::from_secs(2);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// How soon limits are to be enforced again. Attempts are at most a second apart, and each may take a few.
const SECONDS: Duration = Duration::from_secs(20);

/// How long this machine leaves a thread waiting that only wants to sleep for a few milliseconds: what a check may take
/// beyond its deadline without any fault of the limiter's.
static STALL: AtomicU64 = AtomicU64::new(0);

pub(crate) fn watch_the_machine() {
    std::thread::spawn(|| {
        loop {
            let start = Instant::now();
            std::thread::sleep(Duration::from_millis(5));
            let late = start.elapsed().saturating_sub(Duration::from_millis(5));
            STALL.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    });
}

fn stall() -> Duration {
    Duration::from_micros(STALL.load(Ordering::Relaxed))
}

#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// How much each client was allowed without Redis, by policy.
    without_store: Mutex<HashMap<(String, Key), u32>>,
    worst: Mutex<Duration>,
    recovery: Mutex<Option<Duration>>,
    notes: Mutex<Vec<String>>,
}

/// A limit that is not met by accident.
pub(crate) fn policy(name: &'static str) -> Policy {
    Policy::new(name, Quota::sliding_window(100_000, MINUTE))
}

/// Asks the server each time, which is what the faults are about, also where it is certain what it would say.
pub(crate) fn limiter(url: impl AsRef<str>) -> RateGuard {
    RateGuard::builder().redis(url).deadline(DEADLINE).deny_cache(Duration::ZERO).build().unwrap()
}

/// A limiter that has reached its server.
pub(crate) async fn connected(url: impl AsRef<str>) -> RateGuard {
    reached(limiter(url)).await
}

/// One that has, and waits longer than any busy machine makes it: for what must never fail at all.
pub(crate) async fn patient(url: impl AsRef<str>) -> RateGuard {
    let builder = RateGuard::builder().redis(url).deadline(Duration::from_secs(10)).deny_cache(Duration::ZERO);
    reached(builder.build().unwrap()).await
}

async fn reached(limiter: RateGuard) -> RateGuard {
    let patience = Instant::now() + SECONDS;
    while let Err(error) = limiter.ready().await {
        assert!(Instant::now() < patience, "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    limiter
}

fn hold<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// One check: answered in time; and if Redis did not count it, denied only to a client that has used a full quota in
    /// this process.
    pub(crate) async fn check(&self, limiter: &RateGuard, policy: &Policy, key: &Key) -> Decision {
        let start = Instant::now();
        let decision = limiter.check(policy, key).await;
        let took = start.elapsed();
        assert!(
            took < DEADLINE + A_LITTLE + 2 * stall(),
            "L: a check took {took:?}, the machine stalled for {:?}",
            stall()
        );
        if decision.degraded() {
            let mut used = hold(&self.without_store);
            let used = used.entry((policy.name().to_owned(), key.clone())).or_default();
            let limit = policy.quota().limit();
            assert!(decision.allowed() || *used >= limit, "O: denied after {used} of {limit} in this process");
            *used += u32::from(decision.allowed());
        }
        if let Some(wait) = decision.retry_after() {
            // The window that is over goes on to weigh in a sliding counter's next.
            let windows = if policy.quota().algorithm() == Algorithm::SlidingCounter { 2 } else { 1 };
            assert!(!wait.is_zero() && wait <= windows * policy.quota().window(), "W: retry after {wait:?}");
        }
        let mut worst = hold(&self.worst);
        *worst = took.max(*worst);
        decision
    }

    /// Checks until one cannot be counted, and says why.
    pub(crate) async fn until_degraded(&self, limiter: &RateGuard) -> StoreErrorKind {
        let patience = Instant::now() + SECONDS;
        loop {
            if let Some(reason) = self.check(limiter, &policy("until"), &Key::global()).await.degraded_reason() {
                return reason;
            }
            assert!(Instant::now() < patience, "the fault is not noticed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Checks until one cannot be counted for this reason.
    pub(crate) async fn until_reason(&self, limiter: &RateGuard, reason: StoreErrorKind) {
        let patience = Instant::now() + SECONDS;
        loop {
            let seen = self.check(limiter, &policy("until"), &Key::global()).await.degraded_reason();
            if seen == Some(reason) {
                return;
            }
            assert!(Instant::now() < patience, "instead of {reason:?}: {seen:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// From the cure on: checks until one is counted again.
    pub(crate) async fn recovers(&self, limiter: &RateGuard) {
        let cured = Instant::now();
        loop {
            let decision = self.check(limiter, &policy("probe"), &Key::user("probe")).await;
            if !decision.degraded() {
                break;
            }
            assert!(cured.elapsed() < SECONDS, "R: not counted again: {:?}", decision.degraded_reason());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut recovery = hold(&self.recovery);
        *recovery = Some(recovery.unwrap_or_default().max(cured.elapsed()));
    }

    /// What the server has counted for a key.
    pub(crate) async fn used(&self, limiter: &RateGuard, policy: &Policy, key: &Key) -> u32 {
        let patience = Instant::now() + SECONDS;
        loop {
            match limiter.peek(policy, key).await {
                Ok(seen) => return policy.quota().limit() - seen.remaining(),
                Err(error) => assert!(Instant::now() < patience, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        hold(&self.notes).push(text.into());
    }

    /// A line of the table. What it says of the machine is forgotten for the next.
    pub(crate) fn line(&self, name: &str, passed: bool) -> String {
        let recovery = hold(&self.recovery).map_or("-".to_owned(), |time| format!("{:.2} s", time.as_secs_f32()));
        let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f32() * 1000.0);
        let (worst, stalled) = (milliseconds(*hold(&self.worst)), milliseconds(stall()));
        STALL.store(0, Ordering::Relaxed);
        let failed = if passed { "" } else { "FAILED " };
        format!("{name:<40} {worst:>12} {stalled:>12} {recovery:>9}   {failed}{}\n", hold(&self.notes).join("; "))
    }
}
