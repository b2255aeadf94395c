//! The sliding counter: two fixed windows, the earlier one weighted by how much of it the sliding window still covers.
//!
//! It takes the units of the earlier window as spread evenly over it. If they were not, it errs: in the worst case, all
//! of them at that window's very end, fewer than twice the limit are allowed within one window's length. (The idea is
//! described in Cloudflare's "How we built rate limiting capable of scaling to millions of domains", 2017.)
//!
//! Quotas with windows of different length have a pair each, and every charge is counted by all of them. All are kept until
//! all have ended.

use smallvec::SmallVec;

use super::{Assessment, MOST_COUNTS};
use crate::quota::Quota;

/// The window that runs, and the one before. They begin with the first unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) window: u64,
    pub(crate) start: u64,
    pub(crate) previous: u64,
    pub(crate) current: u64,
}

impl Pair {
    /// As it counts now, in windows of this length.
    fn at(self, now: u64, window: u64) -> Pair {
        // A clock that stepped back: the window begins anew, with what it holds.
        let start = self.start.min(now);
        let pair = Pair { window, start, ..self };
        let fresh = Pair { window, start: now, previous: 0, current: 0 };
        match (now - start) / window.max(1) {
            _ if self.is_empty() => fresh,
            0 => pair,
            1 if self.current > 0 => Pair { window, start: start + window, previous: self.current, current: 0 },
            _ => fresh,
        }
    }

    fn is_empty(&self) -> bool {
        self.previous == 0 && self.current == 0
    }

    fn counted(&self, now: u64) -> u64 {
        div_ceil(self.previous, self.window.saturating_sub(now - self.start), self.window) + self.current
    }

    pub(crate) fn assess(&self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        let (limit, cost) = (u64::from(quota.limit()), u64::from(cost));
        let elapsed = now.saturating_sub(self.start);
        let available = limit.saturating_sub(self.counted(now));
        let allowed = cost <= available;
        Assessment {
            allowed,
            available: u32::try_from(available).unwrap_or(u32::MAX),
            reset_idle: self.reset(elapsed, self.current),
            reset_charged: self.reset(elapsed, self.current.saturating_add(cost)),
            retry_after: (!allowed && cost <= limit).then(|| self.retry(elapsed, limit - cost)),
        }
    }

    /// Until what has been counted longest counts no more.
    fn reset(&self, elapsed: u64, current: u64) -> u64 {
        match (self.previous, current) {
            (0, 0) => 0,
            (0, _) => (2 * self.window).saturating_sub(elapsed),
            _ => self.window.saturating_sub(elapsed),
        }
    }

    /// Until no more than `room` units count.
    fn retry(&self, elapsed: u64, room: u64) -> u64 {
        // When `units` of an earlier window have faded to `room`, from the beginning of the window after it.
        let faded = |units: u64, room: u64| self.window - div_floor(room, self.window, units).min(self.window);
        match room.checked_sub(self.current) {
            Some(room) => faded(self.previous, room).saturating_sub(elapsed),
            None => self.window.saturating_sub(elapsed) + faded(self.current, room),
        }
    }

    /// Counts units that were assessed at this time.
    pub(crate) fn charge(&mut self, cost: u32) {
        self.current += u64::from(cost);
    }

    fn end(&self) -> u64 {
        match (self.previous, self.current) {
            (0, 0) => 0,
            (_, 0) => self.start.saturating_add(self.window),
            _ => self.start.saturating_add(2 * self.window),
        }
    }
}

/// A pair for each length of a window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs(SmallVec<[Pair; 1]>);

impl Pairs {
    pub(crate) fn of(pair: Pair) -> Pairs {
        Pairs([pair].into_iter().collect())
    }

    pub(crate) fn each(&self) -> &[Pair] {
        &self.0
    }

    fn update(&mut self, now: u64) {
        for pair in &mut self.0 {
            *pair = pair.at(now, pair.window);
        }
        if self.0.iter().all(Pair::is_empty) {
            self.0.clear();
        }
    }

    /// The pair for a window; if there is none, the one that counts most in windows of that length.
    fn get(&self, now: u64, window: u64) -> Pair {
        let fresh = Pair { window, start: now, previous: 0, current: 0 };
        let own = self.0.iter().find(|pair| pair.window == window).copied();
        let more = |one: Pair, other: Pair| if other.counted(now) > one.counted(now) { other } else { one };
        own.or_else(|| self.0.iter().map(|pair| pair.at(now, window)).reduce(more)).unwrap_or(fresh)
    }

    fn put(&mut self, own: Pair) {
        if own.is_empty() || self.0.iter().any(|pair| pair.window == own.window) {
            return;
        }
        if self.0.len() >= MOST_COUNTS
            && let Some(at) = (0..self.0.len()).min_by_key(|at| self.0.get(*at).map(Pair::end))
        {
            self.0.remove(at);
        }
        self.0.push(own);
    }

    /// Only a charge moves the windows on: a clock that steps back after a look finds them where they were.
    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        for pair in self.0.iter_mut().filter(|pair| pair.start > now) {
            *pair = pair.at(now, pair.window);
        }
        let mut moved = self.clone();
        moved.update(now);
        let own = moved.get(now, quota.window_micros());
        let assessment = own.assess(now, quota, cost);
        if !assessment.allowed {
            self.put(own);
        }
        assessment
    }

    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) -> u64 {
        self.update(now);
        let mut own = self.get(now, quota.window_micros());
        for pair in &mut self.0 {
            pair.charge(cost);
        }
        own.charge(cost);
        self.put(own);
        now
    }

    /// Gives back what was charged at that time, to the window that it was charged to; without a time, to the earlier
    /// one first.
    pub(crate) fn refund(&mut self, now: u64, cost: u32, at: Option<u64>) {
        let cost = u64::from(cost);
        self.update(now);
        for pair in &mut self.0 {
            match at {
                None => {
                    let more = cost.saturating_sub(pair.previous);
                    pair.previous = pair.previous.saturating_sub(cost);
                    pair.current = pair.current.saturating_sub(more);
                }
                Some(at) if at > now => {}
                Some(at) if at >= pair.start => pair.current = pair.current.saturating_sub(cost),
                Some(at) if at.saturating_add(pair.window) >= pair.start => {
                    pair.previous = pair.previous.saturating_sub(cost);
                }
                Some(_) => {}
            }
        }
        self.update(now);
    }

    pub(crate) fn idle_from(&self) -> u64 {
        self.0.iter().map(Pair::end).max().unwrap_or(0)
    }
}

/// `a * b / c`, rounded up. What comes out is at most `a`, since `b` is at most `c`.
fn div_ceil(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from((u128::from(a) * u128::from(b)).div_ceil(u128::from(c.max(1)))).unwrap_or(u64::MAX)
}

fn div_floor(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(c.max(1))).unwrap_or(u64::MAX)
}
