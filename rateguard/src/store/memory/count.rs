//! The count of a client in a few bytes, for clients without a slot.
//!
//! It never allows more than the algorithm does. A token bucket, a fixed window and a sliding counter fit in completely. The
//! log of a sliding window is reduced to two stretches, whose units all count until the latest of them would have left. So a
//! unit counts for up to two windows instead of one; and a client that waits for a window after an allowed request is not
//! denied.

use crate::algorithm::fixed_window::{Counter, Counters};
use crate::algorithm::sliding_counter::{Pair, Pairs};
use crate::algorithm::token_bucket::{Bucket, Buckets};
use crate::algorithm::{self, Assessment, Receipt, State};
use crate::quota::{Algorithm, Quota};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// When the earlier units stop counting. For an exact fixed window: when it began. For an exact token bucket: the fraction
    /// of a microsecond that it needs in addition to be full, below the limit, which is the unit of the fraction.
    pub(super) end: u64,
    /// When the later units stop counting, and with them everything. For a token bucket: when it is full.
    pub(super) idle_from: u64,
    pub(super) earlier: u32,
    pub(super) later: u32,
    /// Whether this is exactly what the algorithm counts. If not, a fixed window or a sliding counter might begin at another
    /// time, and more could be allowed where such a window ends, so it is counted in two stretches.
    pub(super) exact: bool,
}

impl Count {
    pub(super) const NOTHING: Count = Count { end: 0, idle_from: 0, earlier: 0, later: 0, exact: true };

    /// The count of a slot.
    pub(super) fn of(state: &State, idle_from: u64) -> Count {
        let nothing = Count { idle_from, ..Count::NOTHING };
        // With several windows or rates: at least what any of them counts, for as long as any of them counts.
        let several = |units: u64| Count { later: clamp(units.max(1)), exact: false, ..nothing };
        match state.count() {
            algorithm::Count::SlidingWindow(log) => Count { later: clamp(log.units()), exact: false, ..nothing },
            algorithm::Count::FixedWindow(counters) => match counters.each() {
                [counter] => Count { end: counter.start, later: clamp(counter.used), ..nothing },
                counters => several(counters.iter().map(|counter| counter.used).max().unwrap_or_default()),
            },
            algorithm::Count::SlidingCounter(pairs) => match pairs.each() {
                [pair] => {
                    let end = pair.start.saturating_add(pair.window);
                    Count { end, earlier: clamp(pair.previous), later: clamp(pair.current), ..nothing }
                }
                pairs => several(pairs.iter().map(|pair| pair.previous + pair.current).max().unwrap_or_default()),
            },
            // Only that there is a count. The time says how much.
            algorithm::Count::TokenBucket(buckets) => match buckets.each() {
                [bucket] => {
                    Count { end: u64::from(bucket.limit) << 32 | u64::from(bucket.fraction), later: 1, ..nothing }
                }
                _ => several(1),
            },
        }
    }

    /// Whether a slot can hold a state that allows no more than this count. Not for fixed windows and sliding counters that are
    /// not exact.
    pub(super) fn has_state(self, now: u64, quota: &Quota) -> bool {
        let count = self.at(now);
        count.exact || matches!(quota.algorithm(), Algorithm::SlidingWindow | Algorithm::TokenBucket)
    }

    /// The state for a slot, if `has_state`.
    pub(super) fn to_state(self, now: u64, quota: &Quota) -> Option<State> {
        let count = self.at(now);
        if count.units() == 0 {
            return Some(State::new(quota.algorithm()));
        }
        if quota.algorithm() != Algorithm::SlidingWindow {
            return count.small_state(quota);
        }
        let mut state = State::new(Algorithm::SlidingWindow);
        for (until, units) in [(count.end, count.earlier), (count.idle_from, count.later)] {
            state.charge(until.saturating_sub(quota.window_micros()).min(now), quota, units);
        }
        Some(state)
    }

    pub(super) fn assess(self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        let count = self.at(now);
        match count.small_state(quota) {
            Some(mut state) => state.assess(now, quota, cost),
            None => count.assess_stretches(now, quota, cost),
        }
    }

    fn assess_stretches(self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        let (limit, horizon) = (u64::from(quota.limit()), horizon(quota));
        let left = |until: u64| until.saturating_sub(now).min(horizon);
        let available = limit.saturating_sub(self.units());
        let allowed = u64::from(cost) <= available;
        let reset_idle = match (self.earlier, self.later) {
            (0, 0) => 0,
            (0, _) => left(self.idle_from),
            _ => left(self.end),
        };
        let first_is_enough = u64::from(self.later) + u64::from(cost) <= limit;
        Assessment {
            allowed,
            available: u32::try_from(available).unwrap_or(u32::MAX),
            reset_idle,
            reset_charged: if self.units() == 0 { horizon } else { reset_idle },
            retry_after: (!allowed && u64::from(cost) <= limit)
                .then(|| left(if first_is_enough { self.end } else { self.idle_from })),
        }
    }

    /// The count after a charge.
    pub(super) fn charged(self, now: u64, quota: &Quota, cost: u32) -> Count {
        let mut count = self.at(now);
        if let Some(mut state) = count.small_state(quota) {
            state.charge(now, quota, cost);
            return Count::of(&state, state.idle_from());
        }
        let until = now.saturating_add(horizon(quota));
        count.exact = false;
        if count.earlier == 0 && count.later > 0 && count.idle_from < until {
            (count.earlier, count.end) = (count.later, count.idle_from);
            (count.later, count.idle_from) = (cost, until);
        } else {
            count.later = count.later.saturating_add(cost);
            count.idle_from = count.idle_from.max(until);
        }
        count
    }

    /// The count after units are given back. Windows that are not exact give nothing back.
    pub(super) fn refunded(self, now: u64, quota: &Quota, cost: u32, receipt: Option<Receipt>) -> Count {
        let Some(mut state) = self.to_state(now, quota) else { return self };
        state.refund(now, quota, cost, receipt);
        Count::of(&state, state.idle_from())
    }

    /// A count that is never less than either, at any time.
    pub(super) fn at_least(self, other: Count) -> Count {
        let idle_from = self.idle_from.max(other.idle_from);
        Count { end: 0, idle_from, earlier: 0, later: clamp(self.units().max(other.units())), exact: false }
    }

    /// The count after the clock stepped back: all units are taken as charged now at the latest, so that no client waits longer
    /// than a window.
    pub(super) fn held_back(self, now: u64, quota: &Quota) -> Count {
        let longest = now.saturating_add(horizon(quota));
        let end = match quota.algorithm() {
            Algorithm::FixedWindow if self.exact => now,
            Algorithm::SlidingCounter if self.exact => now.saturating_add(quota.window_micros()),
            Algorithm::TokenBucket if self.exact && self.idle_from > longest => u64::from(quota.limit()) << 32,
            Algorithm::TokenBucket => self.end,
            _ => longest,
        };
        let end = if quota.algorithm() == Algorithm::TokenBucket { end } else { self.end.min(end) };
        Count { end, idle_from: self.idle_from.min(longest), ..self }
    }

    pub(super) fn units(&self) -> u64 {
        u64::from(self.earlier) + u64::from(self.later)
    }

    /// The count brought to this moment.
    fn at(mut self, now: u64) -> Count {
        if self.idle_from <= now {
            return Count::NOTHING;
        }
        if !self.exact && self.end <= now {
            self.earlier = 0;
        }
        self
    }

    /// The exact state of the algorithm, if this count holds it.
    fn small_state(self, quota: &Quota) -> Option<State> {
        let (limit, window) = (quota.limit(), quota.window_micros());
        let bucket = |at, fraction| {
            let bucket = Bucket { limit, window, burst: quota.capacity(), at, fraction };
            State::of(algorithm::Count::TokenBucket(Buckets::of(bucket)))
        };
        match quota.algorithm() {
            Algorithm::TokenBucket if self.exact && self.later > 0 && self.end >> 32 == u64::from(limit) => {
                let fraction = clamp(self.end & u64::from(u32::MAX));
                Some(bucket(self.idle_from.saturating_sub(u64::from(fraction > 0)), fraction))
            }
            Algorithm::TokenBucket => Some(bucket(self.idle_from, 0)),
            Algorithm::FixedWindow if self.exact => {
                let counter = Counter { window, start: self.end, used: u64::from(self.later) };
                Some(State::of(algorithm::Count::FixedWindow(Counters::of(counter))))
            }
            Algorithm::SlidingCounter if self.exact => {
                let start = self.end.saturating_sub(window);
                let pair = Pair { window, start, previous: u64::from(self.earlier), current: u64::from(self.later) };
                Some(State::of(algorithm::Count::SlidingCounter(Pairs::of(pair))))
            }
            _ => None,
        }
    }
}

/// How long after its charge a unit can matter.
fn horizon(quota: &Quota) -> u64 {
    let window = quota.window_micros();
    match quota.algorithm() {
        Algorithm::SlidingCounter => window.saturating_mul(2),
        Algorithm::TokenBucket => {
            let refill = (u128::from(window) * u128::from(quota.capacity())).div_ceil(u128::from(quota.limit()));
            u64::try_from(refill).unwrap_or(u64::MAX)
        }
        _ => window,
    }
}

fn clamp(units: u64) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}
