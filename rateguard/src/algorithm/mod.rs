//! The rules, as functions of what is stored, the time, the quota and the cost. No clock is read here and nothing is
//! sent anywhere; time is in microseconds.
//!
//! A rule first *assesses* and then, if every limit of the request admits it, *charges*: that is how limits that stack
//! are decided together.

pub(crate) mod fixed_window;
pub(crate) mod sliding_counter;
pub(crate) mod sliding_window;
pub(crate) mod token_bucket;

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::quota::{Algorithm, Quota};

/// So many counts are kept at most under one key, each by a window or rate of its own. One more takes the place of the
/// one that ends first.
const MOST_COUNTS: usize = 4;

/// What is stored for one key.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Which of the lives of its key this is: a receipt of another is void. `None` before the first charge.
    life: Option<NonZeroU64>,
    count: Count,
}

/// What is counted, by the algorithm.
#[derive(Clone, Debug)]
pub(crate) enum Count {
    SlidingWindow(sliding_window::Log),
    SlidingCounter(sliding_counter::Pairs),
    FixedWindow(fixed_window::Counters),
    TokenBucket(token_bucket::Buckets),
}

/// Proof of a charge: what to show to have these very units given back.
///
/// That it is used only once is up to who holds it: several charges of one microsecond have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// The life of the key in this process; [`Receipt::SHARED`] in a shared store, whose clock tells lives apart.
    pub(crate) life: NonZeroU64,
    /// When the charge was made; of a token bucket, how many tokens had been charged with it.
    pub(crate) at: u64,
}

impl Receipt {
    #[cfg(feature = "_shared")]
    pub(crate) const SHARED: NonZeroU64 = NonZeroU64::MIN;
}

/// What a rule says about a cost before it is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assessment {
    /// Whether the cost fits.
    pub(crate) allowed: bool,
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
    pub(crate) allowed: bool,
    pub(crate) remaining: u32,
    pub(crate) reset_after: u64,
    pub(crate) retry_after: Option<u64>,
    /// What to show to have the charge given back, if there was one.
    pub(crate) receipt: Option<Receipt>,
}

impl Assessment {
    /// The answer, once it is known what the request was charged, and against which receipt.
    pub(crate) fn verdict(self, charged: Option<u32>, receipt: Option<Receipt>) -> Verdict {
        let charged = charged.unwrap_or(0);
        Verdict {
            allowed: self.allowed,
            remaining: self.available.saturating_sub(charged),
            reset_after: if charged > 0 { self.reset_charged } else { self.reset_idle },
            retry_after: self.retry_after,
            receipt: receipt.filter(|_| charged > 0),
        }
    }
}

impl State {
    pub(crate) fn new(algorithm: Algorithm) -> State {
        let count = match algorithm {
            Algorithm::SlidingWindow => Count::SlidingWindow(sliding_window::Log::default()),
            Algorithm::SlidingCounter => Count::SlidingCounter(sliding_counter::Pairs::default()),
            Algorithm::FixedWindow => Count::FixedWindow(fixed_window::Counters::default()),
            Algorithm::TokenBucket => Count::TokenBucket(token_bucket::Buckets::default()),
        };
        State::of(count)
    }

    /// What is counted already, in a new life of its key.
    pub(crate) fn of(count: Count) -> State {
        State { life: None, count }
    }

    pub(crate) fn count(&self) -> &Count {
        &self.count
    }

    /// What a charge of `cost` would meet. Lets go of what no longer counts, mends what a clock that stepped back has
    /// left, begins to count by a quota that is new here, and changes nothing else.
    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        match &mut self.count {
            Count::SlidingWindow(log) => log.assess(now, quota, cost),
            Count::SlidingCounter(pairs) => pairs.assess(now, quota, cost),
            Count::FixedWindow(counters) => counters.assess(now, quota, cost),
            Count::TokenBucket(buckets) => buckets.assess(now, quota, cost),
        }
    }

    /// The same, for a look that must not change anything.
    pub(crate) fn peek(&self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        self.clone().assess(now, quota, cost)
    }

    /// Takes `cost` units, after an assessment at the same moment allowed them.
    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) -> Option<Receipt> {
        // The first is that of shared stores.
        static LIVES: AtomicU64 = AtomicU64::new(2);
        if cost == 0 {
            return None;
        }
        if self.life.is_none() {
            self.life = NonZeroU64::new(LIVES.fetch_add(1, Ordering::Relaxed));
        }
        let at = match &mut self.count {
            Count::SlidingWindow(log) => log.charge(now, quota, cost),
            Count::SlidingCounter(pairs) => pairs.charge(now, quota, cost),
            Count::FixedWindow(counters) => counters.charge(now, quota, cost),
            Count::TokenBucket(buckets) => buckets.charge(now, quota, cost),
        };
        self.life.map(|life| Receipt { life, at })
    }

    /// Gives back those of `cost` units charged under the receipt that still count; without a receipt, the oldest.
    pub(crate) fn refund(&mut self, now: u64, quota: &Quota, cost: u32, receipt: Option<Receipt>) {
        if cost == 0 || receipt.is_some_and(|receipt| Some(receipt.life) != self.life) {
            return;
        }
        let at = receipt.map(|receipt| receipt.at);
        match &mut self.count {
            Count::SlidingWindow(log) => log.refund(now, quota, cost, at),
            Count::SlidingCounter(pairs) => pairs.refund(now, cost, at),
            Count::FixedWindow(counters) => counters.refund(now, cost, at),
            Count::TokenBucket(buckets) => buckets.refund(now, cost, at),
        }
    }

    /// From when on nothing counts any more, so that the state is as good as none.
    pub(crate) fn idle_from(&self) -> u64 {
        match &self.count {
            Count::SlidingWindow(log) => log.idle_from(),
            Count::SlidingCounter(pairs) => pairs.idle_from(),
            Count::FixedWindow(counters) => counters.idle_from(),
            Count::TokenBucket(buckets) => buckets.idle_from(),
        }
    }
}
