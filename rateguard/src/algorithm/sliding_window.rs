//! The exact sliding window: a log of what was admitted.
//!
//! A unit admitted at `t` counts while `now - t < window`. So in no interval of one window's length are more than
//! `limit` units admitted, wherever the interval begins.

use std::collections::VecDeque;

use super::Assessment;
use crate::quota::Quota;

/// What was admitted and may still count, oldest first. Units of one moment share an entry.
#[derive(Debug, Default)]
pub(crate) struct Log {
    hits: VecDeque<Hit>,
    units: u64,
}

#[derive(Clone, Copy, Debug)]
struct Hit {
    at: u64,
    units: u32,
}

impl Log {
    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        let window = quota.window_micros();
        self.hold_back_to(now);
        self.drop_older(now, window);

        let limit = u64::from(quota.limit());
        // A limit that was lowered can be below what is counted already.
        let available = u32::try_from(limit.saturating_sub(self.units)).unwrap_or(u32::MAX);
        let leaves = |hit: &Hit| hit.at + window - now;
        let reset_idle = self.hits.front().map_or(0, leaves);
        let admitted = cost <= available;
        let retry_after = if admitted || u64::from(cost) > limit {
            None
        } else {
            let mut needed = (self.units + u64::from(cost)).saturating_sub(limit);
            self.hits
                .iter()
                .find(|hit| {
                    needed = needed.saturating_sub(u64::from(hit.units));
                    needed == 0
                })
                .map(leaves)
        };
        Assessment {
            admitted,
            available,
            reset_idle,
            reset_charged: if self.hits.is_empty() { window } else { reset_idle },
            retry_after,
        }
    }

    pub(crate) fn charge(&mut self, now: u64, cost: u32) {
        self.units += u64::from(cost);
        match self.hits.back_mut() {
            Some(last) if last.at == now && last.units.checked_add(cost).is_some() => last.units += cost,
            _ => self.hits.push_back(Hit { at: now, units: cost }),
        }
    }

    /// Gives units back: the oldest, so that what is left never counts for a shorter time than what was really admitted.
    /// What was charged at `receipt` and has left its window is not there to be given back.
    pub(crate) fn refund(&mut self, now: u64, quota: &Quota, cost: u32, receipt: Option<u64>) {
        let window = quota.window_micros();
        self.hold_back_to(now);
        self.drop_older(now, window);
        if receipt.is_some_and(|receipt| now.saturating_sub(receipt) >= window) {
            return;
        }
        let mut cost = cost;
        while let Some(first) = self.hits.front_mut() {
            let back = first.units.min(cost);
            first.units -= back;
            self.units -= u64::from(back);
            cost -= back;
            if first.units > 0 {
                break;
            }
            self.hits.pop_front();
        }
    }

    /// How many units there are, those included that nobody has looked at since they left.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    /// When the last unit leaves: from then on the log is as good as none.
    pub(crate) fn idle_from(&self, window: u64) -> u64 {
        self.hits.back().map_or(0, |hit| hit.at + window)
    }

    /// A clock that stepped back leaves hits in the future. They happened, so they count; but only from now on, so
    /// that nobody waits longer than a window.
    fn hold_back_to(&mut self, now: u64) {
        for hit in self.hits.iter_mut().rev().take_while(|hit| hit.at > now) {
            hit.at = now;
        }
    }

    fn drop_older(&mut self, now: u64, window: u64) {
        while let Some(first) = self.hits.front() {
            if now - first.at < window {
                break;
            }
            self.units -= u64::from(first.units);
            self.hits.pop_front();
        }
    }
}
