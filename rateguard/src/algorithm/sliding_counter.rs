//! The sliding counter: two fixed windows, the earlier one weighted by how much of it the sliding window still covers.
//!
//! It assumes that the units of the earlier window are spread evenly over it. In the worst case, all of them are at the very
//! end of that window, and fewer than twice the limit are allowed within one window's length. (Source: Cloudflare, "How we
//! built rate limiting capable of scaling to millions of domains", 2017.)
//!
//! Each length of window has its own pair of windows, and every charge is counted by all of them. All pairs are kept until
//! all have ended.

use smallvec::SmallVec;

use super::{Assessment, make_room};
use crate::quota::Quota;

/// The current window and the previous one. They start with the first unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) window: u64,
    pub(crate) start: u64,
    pub(crate) previous: u64,
    pub(crate) current: u64,
}

impl Pair {
    /// The pair as it counts now, in windows of this length, of which the current one starts with this pair's.
    fn at(self, now: u64, window: u64) -> Pair {
        // The clock stepped back: the window starts now and keeps what it has counted.
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

    /// A pair for another length of window with the same units. Its windows hold no time at which this pair counts nothing:
    /// a receipt from such a time would give back units of others.
    fn convert(self, now: u64, window: u64) -> Pair {
        if window <= self.window {
            return self.at(now, window);
        }
        // Longer windows start with the oldest unit.
        let start = if self.previous > 0 { self.start.saturating_sub(self.window) } else { self.start };
        let all = self.previous + self.current;
        if now - start < window {
            Pair { window, start, previous: 0, current: all }
        } else {
            // The units of the current window can be on either side of the new start. They count in full.
            Pair { window, start: start + window, ..self }
        }
    }

    fn is_empty(&self) -> bool {
        self.previous == 0 && self.current == 0
    }

    fn counted(&self, now: u64) -> u64 {
        div_ceil(self.previous, self.window.saturating_sub(now - self.start), self.window) + self.current
    }

    /// The same, exactly: in units of `1 / window`.
    fn weight(&self, now: u64) -> u128 {
        let covered = u128::from(self.window.saturating_sub(now - self.start));
        u128::from(self.previous) * covered + u128::from(self.current) * u128::from(self.window)
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

    /// The time until the oldest count ends.
    fn reset(&self, elapsed: u64, current: u64) -> u64 {
        match (self.previous, current) {
            (0, 0) => 0,
            (0, _) => (2 * self.window).saturating_sub(elapsed),
            _ => self.window.saturating_sub(elapsed),
        }
    }

    /// The time until at most `room` units count.
    fn retry(&self, elapsed: u64, room: u64) -> u64 {
        // The time from the start of the next window until `units` of a window count as `room`.
        let faded = |units: u64, room: u64| self.window - div_floor(room, self.window, units).min(self.window);
        match room.checked_sub(self.current) {
            Some(room) => faded(self.previous, room).saturating_sub(elapsed),
            None => self.window.saturating_sub(elapsed) + faded(self.current, room),
        }
    }

    /// Counts units that were assessed at the same time.
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

/// A pair for each length of window.
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

    /// The pair for a window. If there is none, the pair that counts most after it is converted to windows of that length;
    /// of those that count as much, the one that ends last.
    fn get(&self, now: u64, window: u64) -> Pair {
        let fresh = Pair { window, start: now, previous: 0, current: 0 };
        let own = self.0.iter().find(|pair| pair.window == window).copied();
        let converted = self.0.iter().map(|pair| pair.convert(now, window));
        own.or_else(|| converted.max_by_key(|pair| (pair.weight(now), pair.start, pair.current))).unwrap_or(fresh)
    }

    fn put(&mut self, now: u64, own: Pair) {
        if own.is_empty() || self.0.iter().any(|pair| pair.window == own.window) {
            return;
        }
        make_room(&mut self.0, |pair| (pair.end().max(now), pair.window));
        self.0.push(own);
    }

    /// Moves no window on, only a charge does: if the clock steps back after an assessment, the windows still count.
    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        for pair in self.0.iter_mut().filter(|pair| pair.start > now) {
            *pair = pair.at(now, pair.window);
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
        for pair in &mut self.0 {
            pair.charge(cost);
        }
        own.charge(cost);
        self.put(now, own);
        now
    }

    /// Gives back what was charged at that time, in the window that counted it. Without a time, in the previous window
    /// first.
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

/// `a * b / c`, rounded up. At most `a`, since `b` is at most `c`.
fn div_ceil(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from((u128::from(a) * u128::from(b)).div_ceil(u128::from(c.max(1)))).unwrap_or(u64::MAX)
}

fn div_floor(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(c.max(1))).unwrap_or(u64::MAX)
}
