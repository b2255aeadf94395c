//! The algorithms, as pure functions of the stored state, the time, the quota and the cost. They read no clock and do no
//! I/O. Times are in microseconds.
//!
//! An algorithm first *assesses* a cost. Only if every limit of the request allows it, the cost is *charged*. So stacked
//! limits are decided together.

pub(crate) mod fixed_window;
pub(crate) mod sliding_counter;
pub(crate) mod sliding_window;
pub(crate) mod token_bucket;

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use crate::quota::{Algorithm, Quota};

/// The most counts under one key; each has its own window, or its own rate and burst. One more replaces the one that ends
/// first. Where several counts are equal in that, what they count decides and never their order, so that a remote store
/// chooses the same one.
const MOST_COUNTS: usize = 4;

/// Makes room for one more count, in place of the one that comes first in this order.
fn make_room<C, O: Ord>(counts: &mut SmallVec<[C; 1]>, order: impl Fn(&C) -> O) {
    if counts.len() >= MOST_COUNTS
        && let Some(first) = (0..counts.len()).min_by_key(|at| counts.get(*at).map(&order))
    {
        counts.remove(first);
    }
}

/// What is stored for one key.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Identifies this life of the key: receipts of an earlier life are void. `None` before the first charge.
    life: Option<NonZeroU64>,
    count: Count,
}

/// The count, by algorithm.
#[derive(Clone, Debug)]
pub(crate) enum Count {
    SlidingWindow(sliding_window::Log),
    SlidingCounter(sliding_counter::Pairs),
    FixedWindow(fixed_window::Counters),
    TokenBucket(token_bucket::Buckets),
}

/// Proof of a charge: with it, exactly these units can be given back.
///
/// Its holder must use it only once: several charges in one microsecond have equal receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// The life of the key in this process; always 1 in a remote store, where `at` alone tells lives apart.
    pub(crate) life: NonZeroU64,
    /// When the charge was made. For a token bucket, how many tokens had been charged by then, including this charge.
    pub(crate) at: u64,
}

/// What a rule says about a cost before it is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assessment {
    /// Whether the cost fits.
    pub(crate) allowed: bool,
    /// Units left before the cost is taken.
    pub(crate) available: u32,
    /// The time until the quota changes if nothing is charged. 0 if nothing is counted.
    pub(crate) reset_idle: u64,
    /// The time until the quota changes if the cost is charged.
    pub(crate) reset_charged: u64,
    /// The time until the cost would fit. `None` if it fits, or never will.
    pub(crate) retry_after: Option<u64>,
}

/// One limit's answer to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether this limit allows the cost. Other limits of the request may deny it.
    pub(crate) allowed: bool,
    pub(crate) remaining: u32,
    pub(crate) reset_after: u64,
    pub(crate) retry_after: Option<u64>,
    /// The receipt for giving the charge back, if there was one.
    pub(crate) receipt: Option<Receipt>,
}

impl Assessment {
    /// The answer, from what the request was charged and the receipt for it.
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

    /// A state with this count, in a new life of its key.
    pub(crate) fn of(count: Count) -> State {
        State { life: None, count }
    }

    pub(crate) fn count(&self) -> &Count {
        &self.count
    }

    /// Says what a charge of `cost` would do. It drops what no longer counts, repairs times that a clock that stepped back
    /// has left in the future, and starts a count for a quota that is new here. It changes nothing else.
    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        match &mut self.count {
            Count::SlidingWindow(log) => log.assess(now, quota, cost),
            Count::SlidingCounter(pairs) => pairs.assess(now, quota, cost),
            Count::FixedWindow(counters) => counters.assess(now, quota, cost),
            Count::TokenBucket(buckets) => buckets.assess(now, quota, cost),
        }
    }

    /// The same, without changing anything.
    pub(crate) fn peek(&self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        self.clone().assess(now, quota, cost)
    }

    /// Charges `cost` units, which an assessment at the same moment has allowed.
    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) -> Option<Receipt> {
        // 1 is the life in the receipts of remote stores.
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

    /// Gives back `cost` units: those charged under the receipt, if they still count; without a receipt, the oldest.
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

    /// The time from which nothing counts any more, so that the state can be dropped.
    pub(crate) fn idle_from(&self) -> u64 {
        match &self.count {
            Count::SlidingWindow(log) => log.idle_from(),
            Count::SlidingCounter(pairs) => pairs.idle_from(),
            Count::FixedWindow(counters) => counters.idle_from(),
            Count::TokenBucket(buckets) => buckets.idle_from(),
        }
    }
}
