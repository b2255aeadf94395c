//! What has become of the checks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What has become of one check.
pub(super) enum Outcome {
    /// Redis has counted it and answered in time.
    Counted,
    /// It was allowed, but Redis has not counted it, or not in time.
    Degraded(&'static str),
    /// It was denied, although the limit is not reached, or not answered at all.
    Failed(&'static str),
}

#[derive(Default)]
pub(super) struct Tally {
    counted: AtomicU64,
    done: AtomicU64,
    reasons: Mutex<Reasons>,
    pub(super) took: Histogram,
}

#[derive(Default)]
pub(super) struct Reasons {
    pub(super) degraded: BTreeMap<&'static str, u64>,
    pub(super) failed: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn add(&self, outcome: &Outcome, took: Duration) {
        self.took.add(took);
        match outcome {
            Outcome::Counted => _ = self.counted.fetch_add(1, Ordering::Relaxed),
            Outcome::Degraded(reason) => *self.reasons().degraded.entry(reason).or_default() += 1,
            Outcome::Failed(reason) => *self.reasons().failed.entry(reason).or_default() += 1,
        }
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn reasons(&self) -> MutexGuard<'_, Reasons> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long checks took, in steps of 20 µs.
pub(super) struct Histogram(Vec<AtomicU64>);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram((0..=100_000).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Histogram {
    fn add(&self, took: Duration) {
        let at = usize::try_from(took.as_micros() / 20).unwrap_or(usize::MAX).min(self.0.len() - 1);
        if let Some(count) = self.0.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// In milliseconds.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen as f64 >= share * all as f64
        };
        counts.iter().position(reached).map_or(0.0, |at| (at + 1) as f64 * 0.02)
    }
}
