//! The clock of a limiter.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The clock for what a limiter counts in this process.
///
/// Counts in Redis use only the Redis server's clock, so servers whose clocks differ still agree.
pub trait Clock: Send + Sync + 'static {
    /// The time since some fixed moment. It is read at least once per check, so it should be cheap.
    fn now(&self) -> Duration;
}

/// The latest time. Later ones would overflow when a window is added.
const LATEST: u64 = 1 << 62;

/// The clock that a limiter was given, or the system's monotonic clock.
#[derive(Clone)]
pub(crate) enum TimeSource {
    System(Instant),
    Custom(Arc<dyn Clock>),
}

impl TimeSource {
    pub(crate) fn system() -> TimeSource {
        TimeSource::System(Instant::now())
    }

    /// Microseconds since the clock's fixed moment.
    #[inline]
    pub(crate) fn micros(&self) -> u64 {
        let now = match self {
            TimeSource::System(start) => start.elapsed(),
            TimeSource::Custom(clock) => clock.now(),
        };
        now.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(now.subsec_micros())).min(LATEST)
    }

    /// The time, if the clock never goes back.
    #[inline]
    pub(crate) fn steady_micros(&self) -> Option<u64> {
        matches!(self, TimeSource::System(_)).then(|| self.micros())
    }
}

impl fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimeSource::System(_) => "system clock",
            TimeSource::Custom(_) => "custom clock",
        })
    }
}

/// Seconds, rounded up: a client that waits that long has waited long enough.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A clock for tests of limited handlers. It moves only when a test moves it.
///
/// ```
/// use rateguard::{Key, ManualClock, Policy, Quota, RateGuard};
/// use std::time::Duration;
///
/// const POLICY: Policy = Policy::new("search", Quota::sliding_window(1, Duration::from_secs(60)));
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let clock = ManualClock::new();
/// let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
/// assert!(limiter.check(&POLICY, &Key::global()).await.allowed());
/// assert!(!limiter.check(&POLICY, &Key::global()).await.allowed());
/// clock.advance(Duration::from_secs(60));
/// assert!(limiter.check(&POLICY, &Key::global()).await.allowed());
/// # }
/// ```
#[cfg(feature = "test-util")]
#[derive(Clone, Debug)]
pub struct ManualClock {
    micros: Arc<std::sync::atomic::AtomicU64>,
}

#[cfg(feature = "test-util")]
impl ManualClock {
    /// A clock at one hour, so that it can also be [set](Self::set) back.
    pub fn new() -> ManualClock {
        ManualClock { micros: Arc::new(3_600_000_000.into()) }
    }

    /// Moves the clock forward. Fractions of a microsecond are dropped.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(by, std::sync::atomic::Ordering::SeqCst);
    }

    /// Sets the clock to an earlier or later time.
    pub fn set(&self, to: Duration) {
        let to = u64::try_from(to.as_micros()).unwrap_or(u64::MAX);
        self.micros.store(to, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(feature = "test-util")]
impl Default for ManualClock {
    fn default() -> ManualClock {
        ManualClock::new()
    }
}

#[cfg(feature = "test-util")]
impl Clock for ManualClock {
    fn now(&self) -> Duration {
        Duration::from_micros(self.micros.load(std::sync::atomic::Ordering::SeqCst))
    }
}
