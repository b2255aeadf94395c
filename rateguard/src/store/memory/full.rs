//! What operators are told about a full store.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::{self, log};

/// How often the log repeats it, in microseconds.
const AGAIN: u64 = 60_000_000;

#[derive(Debug)]
pub(super) struct Full {
    max_keys: usize,
    /// Checks of clients without a slot, since the last log line.
    checks: AtomicU64,
    /// The time of the last log line; `u64::MAX` if there was none.
    logged: AtomicU64,
}

impl Full {
    pub(super) fn new(max_keys: usize) -> Full {
        Full { max_keys, checks: AtomicU64::new(0), logged: AtomicU64::new(u64::MAX) }
    }

    /// Counts checks of clients without a slot of their own.
    #[cold]
    pub(super) fn report(&self, now: u64, checks: u64) {
        telemetry::memory_overflow(checks);
        self.checks.fetch_add(checks, Ordering::Relaxed);
        if let Some(checks) = self.due(now) {
            log::memory_full(self.max_keys, checks);
        }
    }

    /// How many checks there were, if a log line is due.
    fn due(&self, now: u64) -> Option<u64> {
        let logged = self.logged.load(Ordering::Relaxed);
        if logged != u64::MAX && now.abs_diff(logged) < AGAIN {
            return None;
        }
        self.logged.compare_exchange(logged, now, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(self.checks.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_store_is_logged_at_once_and_then_once_a_minute_with_the_number_of_checks() {
        let full = Full::new(1);
        let due = |second: u64, checks| {
            full.checks.fetch_add(checks, Ordering::Relaxed);
            full.due(second * 1_000_000)
        };
        assert_eq!(due(0, 2), Some(2));
        assert_eq!(due(59, 3), None);
        assert_eq!(due(60, 1), Some(4));
        assert_eq!(due(61, 1), None);
        assert_eq!(due(0, 1), Some(2), "a clock that was set back does not stop the log");
    }
}
