//! The token bucket, as the generic cell rate algorithm (ITU-T I.371): instead of tokens it keeps the time at which the
//! bucket will be full again.
//!
//! A token takes `window / limit` microseconds to come back, which is seldom a whole number. So times are counted in
//! microseconds and fractions of `1 / limit` of one, and no rate is ever rounded.

use super::Assessment;
use crate::quota::Quota;

/// When the bucket is full: `at` microseconds and `fraction / of` of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) at: u64,
    pub(crate) fraction: u32,
    pub(crate) of: u32,
}

impl Bucket {
    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        self.convert(quota.limit());
        let limit = u128::from(quota.limit());
        let token = u128::from(quota.window_micros());
        let capacity = u128::from(quota.capacity()) * token;
        let debt = self.debt(now, quota).min(capacity);
        // What a clock that stepped back, or a quota that was lowered, leaves beyond an empty bucket is let go.
        self.set(now, debt);
        let needed = debt + u128::from(cost) * token;
        let admitted = needed <= capacity;
        let micros = |ticks: u128| u64::try_from(ticks.div_ceil(limit)).unwrap_or(u64::MAX);
        Assessment {
            admitted,
            available: u32::try_from((capacity - debt) / token).unwrap_or(u32::MAX),
            reset_idle: micros(debt),
            reset_charged: micros(needed),
            retry_after: (!admitted && cost <= quota.capacity()).then(|| micros(needed - capacity)),
        }
    }

    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) {
        let debt = self.debt(now, quota) + u128::from(cost) * u128::from(quota.window_micros());
        self.set(now, debt);
    }

    /// Gives a charge back. It takes time to come back by itself, after those before it; what has come back already
    /// cannot be given back again. The receipt is when all of it will have.
    pub(crate) fn refund(&mut self, now: u64, quota: &Quota, cost: u32, receipt: Option<u64>) {
        self.assess(now, quota, 0);
        let mut back = u128::from(cost) * u128::from(quota.window_micros());
        if let Some(receipt) = receipt {
            back = back.min(u128::from(receipt.saturating_sub(now)) * u128::from(quota.limit()));
        }
        let debt = self.debt(now, quota).saturating_sub(back);
        self.set(now, debt);
    }

    pub(crate) fn idle_from(&self) -> u64 {
        self.at + u64::from(self.fraction > 0)
    }

    /// What is missing from a full bucket, in fractions of a microsecond.
    fn debt(&self, now: u64, quota: &Quota) -> u128 {
        let full = u128::from(self.at) * u128::from(quota.limit()) + u128::from(self.fraction);
        full.saturating_sub(u128::from(now) * u128::from(quota.limit()))
    }

    fn set(&mut self, now: u64, debt: u128) {
        let of = u128::from(self.of.max(1));
        self.at = now.saturating_add(u64::try_from(debt / of).unwrap_or(u64::MAX));
        self.fraction = u32::try_from(debt % of).unwrap_or(0);
    }

    /// To another limit's fractions: one that is begun counts as whole.
    fn convert(&mut self, limit: u32) {
        if self.of != limit {
            self.at += u64::from(self.fraction > 0);
            self.fraction = 0;
            self.of = limit;
        }
    }
}
