//! A client's count in a few bytes, for clients without a slot.
//!
//! It never allows more than the rule of its algorithm. A token bucket, a fixed window and a sliding counter fit whole. Of
//! a sliding window's log two stretches are left: the units of each count until the latest of them would have left, so a
//! unit counts for less than two windows instead of one, and nobody who waits a window after an allowed request is denied.

use crate::algorithm::fixed_window::{Counter, Counters};
use crate::algorithm::sliding_counter::{Pair, Pairs};
use crate::algorithm::token_bucket::{Bucket, Buckets};
use crate::algorithm::{self, Assessment, Receipt, State};
use crate::quota::{Algorithm, Quota};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// Until then the earlier units count. For a fixed window that is exact: when it began. For a token bucket that is
    /// exact: the fraction of a microsecond that it takes longer to fill, and of what it is a fraction.
    pub(super) end: u64,
    /// Until then the later units count, and from then on nothing does. For a token bucket: when it is full.
    pub(super) idle_from: u64,
    pub(super) earlier: u32,
    pub(super) later: u32,
    /// Whether it is exactly what the rule counts, and no more. If not, a fixed window or a sliding counter may begin
    /// elsewhere than by the rule, and where such a window ends, more could be allowed: it is counted in two stretches.
    pub(super) exact: bool,
}

impl Count {
    pub(super) const NOTHING: Count = Count { end: 0, idle_from: 0, earlier: 0, later: 0, exact: true };

    /// What a slot holds.
    pub(super) fn of(state: &State, idle_from: u64) -> Count {
        let nothing = Count { idle_from, ..Count::NOTHING };
        // Counted by several windows or rates: at least what any of them counts, for as long as any does.
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
            // Only that there is something; how much, the time says.
            algorithm::Count::TokenBucket(buckets) => match buckets.each() {
                [bucket] => {
                    Count { end: u64::from(bucket.limit) << 32 | u64::from(bucket.fraction), later: 1, ..nothing }
                }
                _ => several(1),
            },
        }
    }

    /// Whether there is a state for a slot that allows no more than this count does: unless it is of windows that are not
    /// exact.
    pub(super) fn has_state(self, now: u64, quota: &Quota) -> bool {
        let count = self.at(now);
        count.exact || matches!(quota.algorithm(), Algorithm::SlidingWindow | Algorithm::TokenBucket)
    }

    /// That state.
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

    /// The count once `cost` more units are taken.
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

    /// The count once as much was given back as the rule allows. Of windows that are not exact, nothing is.
    pub(super) fn refunded(self, now: u64, quota: &Quota, cost: u32, receipt: Option<Receipt>) -> Count {
        let Some(mut state) = self.to_state(now, quota) else { return self };
        state.refund(now, quota, cost, receipt);
        Count::of(&state, state.idle_from())
    }

    /// At least what either counts, at any time: for clients of whom only that is known.
    pub(super) fn at_least(self, other: Count) -> Count {
        let idle_from = self.idle_from.max(other.idle_from);
        Count { end: 0, idle_from, earlier: 0, later: clamp(self.units().max(other.units())), exact: false }
    }

    /// After the clock stepped back: nothing was counted later than now, so that nobody waits for longer than a window.
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

    /// As it counts now.
    fn at(mut self, now: u64) -> Count {
        if self.idle_from <= now {
            return Count::NOTHING;
        }
        if !self.exact && self.end <= now {
            self.earlier = 0;
        }
        self
    }

    /// The very state of the algorithm, if it is small and known.
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

/// For how long after it was taken a unit can matter to the rule.
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
