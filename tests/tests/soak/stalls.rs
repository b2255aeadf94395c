//! When threads of the app had no time: what a check may take beyond its deadline without any fault of the limiter's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// From when to when, since the begin. They may overlap: two threads may be blocked at once.
#[derive(Debug, Default)]
pub(crate) struct Stalls(Mutex<Vec<(Duration, Duration)>>);

impl Stalls {
    /// Of a timer: how late it may be.
    pub(crate) const NO_STALL: Duration = Duration::from_millis(5);

    pub(crate) fn add(&self, from: Duration, to: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((from, to));
    }

    /// How much of this time was a stall.
    pub(crate) fn within(&self, from: Duration, to: Duration) -> Duration {
        let stalls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stalls.iter().map(|(start, end)| (*end).min(to).saturating_sub((*start).max(from))).sum()
    }

    pub(crate) fn longest(&self) -> Duration {
        let stalls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stalls.iter().map(|(start, end)| end.saturating_sub(*start)).max().unwrap_or_default()
    }
}
