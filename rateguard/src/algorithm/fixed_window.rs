//! The fixed window: a counter that starts with the first unit and ends one window later.
//!
//! Where two windows meet, up to twice the limit can be allowed within one window's length.
//!
//! Each length of window has its own counter, and every charge is counted by all of them, so the end of a short window does
//! not end a long one. All counters are kept until all have ended.

use smallvec::SmallVec;

use super::{Assessment, make_room};
use crate::quota::Quota;

/// The units allowed since the window began. If nothing is counted, `used` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    pub(crate) window: u64,
    pub(crate) start: u64,
    pub(crate) used: u64,
}

impl Counter {
    fn end(&self) -> u64 {
        if self.used == 0 { 0 } else { self.start.saturating_add(self.window) }
    }

    pub(crate) fn assess(&self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        let (limit, cost) = (u64::from(quota.limit()), u64::from(cost));
        let available = limit.saturating_sub(self.used);
        let reset_idle = if self.used == 0 { 0 } else { self.end().saturating_sub(now) };
        let allowed = cost <= available;
        Assessment {
            allowed,
            available: u32::try_from(available).unwrap_or(u32::MAX),
            reset_idle,
            reset_charged: if self.used == 0 { self.window } else { reset_idle },
            retry_after: (!allowed && cost <= limit).then_some(reset_idle),
        }
    }

    /// Counts units that were assessed at the same time.
    pub(crate) fn charge(&mut self, now: u64, cost: u32) {
        if self.used == 0 {
            self.start = now;
        }
        self.used += u64::from(cost);
    }
}

/// A counter for each length of window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(SmallVec<[Counter; 1]>);

impl Counters {
    pub(crate) fn of(counter: Counter) -> Counters {
        Counters([counter].into_iter().collect())
    }

    pub(crate) fn each(&self) -> &[Counter] {
        &self.0
    }

    fn update(&mut self, now: u64) {
        for counter in &mut self.0 {
            // The clock stepped back: the window starts now and keeps what it has counted.
            counter.start = counter.start.min(now);
            if now - counter.start >= counter.window || counter.used == 0 {
                (counter.start, counter.used) = (now, 0);
            }
        }
        if self.0.iter().all(|counter| counter.used == 0) {
            self.0.clear();
        }
    }

    /// The counter for a window. If there is none, a copy of the fullest counter that started less than a window ago; of
    /// equally full ones, of the one that started last.
    fn get(&self, now: u64, window: u64) -> Counter {
        let own = self.0.iter().find(|counter| counter.window == window);
        let started = self.0.iter().filter(|counter| now - counter.start < window);
        let most = || started.max_by_key(|counter| (counter.used, counter.start));
        let (start, used) = own.or_else(most).map_or((now, 0), |counter| (counter.start, counter.used));
        Counter { window, start, used }
    }

    fn put(&mut self, now: u64, own: Counter) {
        if own.used == 0 || self.0.iter().any(|counter| counter.window == own.window) {
            return;
        }
        make_room(&mut self.0, |counter| (counter.end().max(now), counter.window));
        self.0.push(own);
    }

    /// Ends no window, only a charge does: if the clock steps back after an assessment, the window still counts.
    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        for counter in &mut self.0 {
            counter.start = counter.start.min(now);
        }
        let mut moved = self.clone();
        moved.update(now);
        let own = moved.get(now, quota.window_micros());
        let assessment = own.assess(now, quota, cost);
        if !assessment.allowed {
            self.put(now, own);
        }
        assessment
    }

    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) -> u64 {
        self.update(now);
        let mut own = self.get(now, quota.window_micros());
        for counter in &mut self.0 {
            counter.charge(now, cost);
        }
        own.charge(now, cost);
        self.put(now, own);
        now
    }

    /// Gives back what was charged at that time, in the windows that had begun by then.
    pub(crate) fn refund(&mut self, now: u64, cost: u32, at: Option<u64>) {
        self.update(now);
        for counter in &mut self.0 {
            if at.is_none_or(|at| at >= counter.start && at <= now) {
                counter.used = counter.used.saturating_sub(u64::from(cost));
            }
        }
        self.update(now);
    }

    pub(crate) fn idle_from(&self) -> u64 {
        self.0.iter().map(Counter::end).max().unwrap_or(0)
    }
}
