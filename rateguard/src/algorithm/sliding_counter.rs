//! The sliding counter: two fixed windows, the earlier one weighted by how much of it the sliding window still covers.
//!
//! It takes the units of the earlier window as spread evenly over it. If they were not, it errs: in the worst case, all
//! of them at that window's very end, fewer than twice the limit are admitted within one window's length. (The idea is
//! described in Cloudflare's "How we built rate limiting capable of scaling to millions of domains", 2017.)

use super::Assessment;
use crate::quota::Quota;

/// The window that runs, and the one before. They begin with the first unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) start: u64,
    pub(crate) previous: u64,
    pub(crate) current: u64,
}

impl Pair {
    /// As it counts now.
    fn at(mut self, now: u64, window: u64) -> Pair {
        // A clock that stepped back: the window begins anew, with what it holds.
        self.start = self.start.min(now);
        match (now - self.start) / window {
            _ if self.previous == 0 && self.current == 0 => Pair { start: now, previous: 0, current: 0 },
            0 => self,
            1 if self.current > 0 => Pair { start: self.start + window, previous: self.current, current: 0 },
            _ => Pair { start: now, previous: 0, current: 0 },
        }
    }

    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        let (limit, window, cost) = (u64::from(quota.limit()), quota.window_micros(), u64::from(cost));
        let pair = self.at(now, window);
        if self.start > now {
            *self = pair;
        }
        let elapsed = now - pair.start;
        let counted = div_ceil(pair.previous, window - elapsed, window) + pair.current;
        let available = limit.saturating_sub(counted);
        let admitted = cost <= available;
        Assessment {
            admitted,
            available: u32::try_from(available).unwrap_or(u32::MAX),
            reset_idle: pair.reset(elapsed, window, pair.current),
            reset_charged: pair.reset(elapsed, window, pair.current + cost),
            retry_after: (!admitted && cost <= limit).then(|| pair.retry(elapsed, window, limit - cost)),
        }
    }

    /// Until what has been counted longest counts no more.
    fn reset(&self, elapsed: u64, window: u64, current: u64) -> u64 {
        match (self.previous, current) {
            (0, 0) => 0,
            (0, _) => 2 * window - elapsed,
            _ => window - elapsed,
        }
    }

    /// Until no more than `room` units count.
    fn retry(&self, elapsed: u64, window: u64, room: u64) -> u64 {
        // When `units` of an earlier window have faded to `room`, from the beginning of the window after it.
        let faded = |units: u64, room: u64| window - div_floor(room, window, units).min(window);
        match room.checked_sub(self.current) {
            Some(room) => faded(self.previous, room) - elapsed,
            None => window - elapsed + faded(self.current, room),
        }
    }

    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) {
        *self = self.at(now, quota.window_micros());
        self.current += u64::from(cost);
    }

    /// Gives back what was charged at `receipt`, to the window that it was charged to; without a receipt, to the later
    /// one first.
    pub(crate) fn refund(&mut self, now: u64, quota: &Quota, cost: u32, receipt: Option<u64>) {
        let (window, cost) = (quota.window_micros(), u64::from(cost));
        *self = self.at(now, window);
        match receipt {
            None => {
                let more = cost.saturating_sub(self.current);
                self.current = self.current.saturating_sub(cost);
                self.previous = self.previous.saturating_sub(more);
            }
            Some(receipt) if receipt >= self.start => self.current = self.current.saturating_sub(cost),
            Some(receipt) if receipt.saturating_add(window) >= self.start => {
                self.previous = self.previous.saturating_sub(cost);
            }
            Some(_) => {}
        }
    }

    pub(crate) fn idle_from(&self, window: u64) -> u64 {
        match (self.previous, self.current) {
            (0, 0) => 0,
            (_, 0) => self.start + window,
            _ => self.start + 2 * window,
        }
    }
}

/// `a * b / c`, rounded up. What comes out is at most `a`, since `b` is at most `c`.
fn div_ceil(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from((u128::from(a) * u128::from(b)).div_ceil(u128::from(c.max(1)))).unwrap_or(u64::MAX)
}

fn div_floor(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(c.max(1))).unwrap_or(u64::MAX)
}
