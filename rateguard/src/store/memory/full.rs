//! What operators are told of a store that is full.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::{self, log};

/// How often the log repeats it, in microseconds.
const AGAIN: u64 = 60_000_000;

#[derive(Debug)]
pub(super) struct Full {
    max_keys: usize,
    /// Checks of clients without a place, since the log was last told.
    checks: AtomicU64,
    /// When the log was last told; `u64::MAX` if it never was.
    told: AtomicU64,
}

impl Full {
    pub(super) fn new(max_keys: usize) -> Full {
        Full { max_keys, checks: AtomicU64::new(0), told: AtomicU64::new(u64::MAX) }
    }

    /// Takes note of checks of clients without a place of their own.
    #[cold]
    pub(super) fn tell(&self, now: u64, checks: u64) {
        telemetry::memory_overflow(checks);
        self.checks.fetch_add(checks, Ordering::Relaxed);
        if let Some(checks) = self.due(now) {
            log::memory_full(self.max_keys, checks);
        }
    }

    /// How many checks there were, if the log is to be told now.
    fn due(&self, now: u64) -> Option<u64> {
        let told = self.told.load(Ordering::Relaxed);
        if told != u64::MAX && now.abs_diff(told) < AGAIN {
            return None;
        }
        self.told.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(self.checks.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_store_is_told_at_once_and_once_a_minute_with_the_number_of_checks() {
        let full = Full::new(1);
        let due = |second: u64, checks| {
            full.checks.fetch_add(checks, Ordering::Relaxed);
            full.due(second * 1_000_000)
        };
        assert_eq!(due(0, 2), Some(2));
        assert_eq!(due(59, 3), None);
        assert_eq!(due(60, 1), Some(4));
        assert_eq!(due(61, 1), None);
        assert_eq!(due(0, 1), Some(2), "a clock that was set back does not silence it");
    }
}
