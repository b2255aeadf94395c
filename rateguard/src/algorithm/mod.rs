//! The rules, as functions of what is stored, the time, the quota and the cost. No clock is read here and nothing is
//! sent anywhere; time is in microseconds.
//!
//! A rule first *assesses* and then, if every limit of the request admits it, *charges*: that is how limits that stack
//! are decided together.

pub(crate) mod fixed_window;
pub(crate) mod sliding_counter;
pub(crate) mod sliding_window;
pub(crate) mod token_bucket;

use crate::quota::{Algorithm, Quota};

/// What is stored for one key.
#[derive(Debug)]
pub(crate) enum State {
    SlidingWindow(sliding_window::Log),
    SlidingCounter(sliding_counter::Pair),
    FixedWindow(fixed_window::Counter),
    TokenBucket(token_bucket::Bucket),
}

/// What a rule says about a cost before it is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assessment {
    /// Whether the cost fits.
    pub(crate) admitted: bool,
    /// Units left, the cost not yet taken.
    pub(crate) available: u32,
    /// Until the quota moves, if nothing is charged; 0 when nothing is counted.
    pub(crate) reset_idle: u64,
    /// Until the quota moves, once the cost is charged.
    pub(crate) reset_charged: u64,
    /// Until the cost would fit. `None` if it fits or never will.
    pub(crate) retry_after: Option<u64>,
}

/// What a check is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether this limit admits the cost; the others of the request may not.
    pub(crate) admitted: bool,
    pub(crate) remaining: u32,
    pub(crate) reset_after: u64,
    pub(crate) retry_after: Option<u64>,
    /// What to show to have the charge given back, if there was one: when it was made; for a token bucket, when it will
    /// have come back by itself.
    pub(crate) receipt: Option<u64>,
}

impl Assessment {
    /// The answer, once it is known what the request was charged.
    pub(crate) fn verdict(self, now: u64, quota: &Quota, charged: Option<u32>) -> Verdict {
        let charged = charged.unwrap_or(0);
        let reset_after = if charged > 0 { self.reset_charged } else { self.reset_idle };
        let receipt = match quota.algorithm() {
            Algorithm::TokenBucket => now.saturating_add(reset_after),
            _ => now,
        };
        Verdict {
            admitted: self.admitted,
            remaining: self.available.saturating_sub(charged),
            reset_after,
            retry_after: self.retry_after,
            receipt: (charged > 0).then_some(receipt),
        }
    }
}

impl State {
    pub(crate) fn new(algorithm: Algorithm) -> State {
        match algorithm {
            Algorithm::SlidingWindow => State::SlidingWindow(sliding_window::Log::default()),
            Algorithm::SlidingCounter => State::SlidingCounter(sliding_counter::Pair::default()),
            Algorithm::FixedWindow => State::FixedWindow(fixed_window::Counter::default()),
            Algorithm::TokenBucket => State::TokenBucket(token_bucket::Bucket::default()),
        }
    }

    /// What a charge of `cost` would meet. Lets go of what no longer counts, mends what a clock that stepped back has
    /// left, and changes nothing else.
    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        match self {
            State::SlidingWindow(log) => log.assess(now, quota, cost),
            State::SlidingCounter(pair) => pair.assess(now, quota, cost),
            State::FixedWindow(counter) => counter.assess(now, quota, cost),
            State::TokenBucket(bucket) => bucket.assess(now, quota, cost),
        }
    }

    /// The same, for a look that must not mend anything either.
    pub(crate) fn peek(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        match *self {
            State::SlidingWindow(ref mut log) => log.assess(now, quota, cost),
            State::SlidingCounter(mut pair) => pair.assess(now, quota, cost),
            State::FixedWindow(mut counter) => counter.assess(now, quota, cost),
            State::TokenBucket(mut bucket) => bucket.assess(now, quota, cost),
        }
    }

    /// Takes `cost` units, after an assessment at the same moment admitted them.
    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) {
        if cost == 0 {
            return;
        }
        match self {
            State::SlidingWindow(log) => log.charge(now, cost),
            State::SlidingCounter(pair) => pair.charge(now, quota, cost),
            State::FixedWindow(counter) => counter.charge(now, quota, cost),
            State::TokenBucket(bucket) => bucket.charge(now, quota, cost),
        }
    }

    /// Gives `cost` units back, or as many as are still counted. The receipt is what [`Verdict::receipt`] said when they
    /// were charged.
    pub(crate) fn refund(&mut self, now: u64, quota: &Quota, cost: u32, receipt: Option<u64>) {
        match self {
            State::SlidingWindow(log) => log.refund(now, quota, cost, receipt),
            State::SlidingCounter(pair) => pair.refund(now, quota, cost, receipt),
            State::FixedWindow(counter) => counter.refund(now, quota, cost, receipt),
            State::TokenBucket(bucket) => bucket.refund(now, quota, cost, receipt),
        }
    }

    /// From when on nothing counts any more, so that the state is as good as none.
    pub(crate) fn idle_from(&self, quota: &Quota) -> u64 {
        match self {
            State::SlidingWindow(log) => log.idle_from(quota.window_micros()),
            State::SlidingCounter(pair) => pair.idle_from(quota.window_micros()),
            State::FixedWindow(counter) => counter.idle_from(quota.window_micros()),
            State::TokenBucket(bucket) => bucket.idle_from(),
        }
    }
}
