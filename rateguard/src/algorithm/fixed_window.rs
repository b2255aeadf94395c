//! The fixed window: a counter that begins with the first unit and is forgotten one window later.
//!
//! At the seam of two windows up to twice the limit can be admitted within one window's length.

use super::Assessment;
use crate::quota::Quota;

/// How much was admitted since the window began. Nothing counted: `used` is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counter {
    pub(crate) start: u64,
    pub(crate) used: u64,
}

impl Counter {
    /// As it counts now.
    fn at(mut self, now: u64, window: u64) -> Counter {
        // A clock that stepped back: the window begins anew, with what it holds.
        self.start = self.start.min(now);
        if now - self.start >= window {
            self.used = 0;
        }
        self
    }

    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        let (limit, window, cost) = (u64::from(quota.limit()), quota.window_micros(), u64::from(cost));
        let counter = self.at(now, window);
        if self.start > now {
            *self = counter;
        }
        let available = limit.saturating_sub(counter.used);
        let reset_idle = if counter.used == 0 { 0 } else { counter.start + window - now };
        let admitted = cost <= available;
        Assessment {
            admitted,
            available: u32::try_from(available).unwrap_or(u32::MAX),
            reset_idle,
            reset_charged: if counter.used == 0 { window } else { reset_idle },
            retry_after: (!admitted && cost <= limit).then_some(reset_idle),
        }
    }

    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) {
        *self = self.at(now, quota.window_micros());
        if self.used == 0 {
            self.start = now;
        }
        self.used += u64::from(cost);
    }

    /// Gives back what was charged at `receipt`; nothing if that was in a window that is over.
    pub(crate) fn refund(&mut self, now: u64, quota: &Quota, cost: u32, receipt: Option<u64>) {
        *self = self.at(now, quota.window_micros());
        if receipt.is_none_or(|receipt| receipt >= self.start) {
            self.used = self.used.saturating_sub(u64::from(cost));
        }
    }

    pub(crate) fn idle_from(&self, window: u64) -> u64 {
        if self.used == 0 { 0 } else { self.start + window }
    }
}
