//! Time, as something that can be handed in.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a limiter reads the time for what it counts in this process.
///
/// What is counted in Redis goes by the Redis server's clock alone, so that servers whose clocks differ agree.
pub trait Clock: Send + Sync + 'static {
    /// The time since some fixed moment. Read at least once a check, so it should be cheap.
    fn now(&self) -> Duration;
}

/// The clock a limiter was given, or the system's monotonic one.
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
    pub(crate) fn micros(&self) -> u64 {
        let now = match self {
            TimeSource::System(start) => start.elapsed(),
            TimeSource::Custom(clock) => clock.now(),
        };
        u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
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
