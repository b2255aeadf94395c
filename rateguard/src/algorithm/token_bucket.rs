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
    /// What is missing from a full bucket, in units of a microsecond by the limit; and whether more was missing than a
    /// bucket holds, which a clock that stepped back or a quota that was lowered leaves. That is let go.
    fn debt(&self, now: u64, quota: &Quota) -> (u128, bool) {
        let limit = u128::from(quota.limit());
        let full = if self.of == quota.limit() {
            u128::from(self.at) * limit + u128::from(self.fraction)
        } else {
            // Another limit's fraction that is begun counts as whole.
            (u128::from(self.at) + u128::from(self.fraction > 0)) * limit
        };
        let debt = full.saturating_sub(u128::from(now) * limit);
        let capacity = u128::from(quota.capacity()) * u128::from(quota.window_micros());
        (debt.min(capacity), debt > capacity)
    }

    fn with(now: u64, quota: &Quota, debt: u128) -> Bucket {
        let limit = u128::from(quota.limit());
        Bucket {
            at: now.saturating_add(u64::try_from(debt / limit).unwrap_or(u64::MAX)),
            fraction: u32::try_from(debt % limit).unwrap_or(0),
            of: quota.limit(),
        }
    }

    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        let token = u128::from(quota.window_micros());
        let capacity = u128::from(quota.capacity()) * token;
        let (debt, let_go) = self.debt(now, quota);
        if let_go {
            *self = Bucket::with(now, quota, debt);
        }
        let needed = debt + u128::from(cost) * token;
        let admitted = needed <= capacity;
        let micros = |ticks: u128| u64::try_from(ticks.div_ceil(u128::from(quota.limit()))).unwrap_or(u64::MAX);
        Assessment {
            admitted,
            available: u32::try_from((capacity - debt) / token).unwrap_or(u32::MAX),
            reset_idle: micros(debt),
            reset_charged: micros(needed),
            retry_after: (!admitted && cost <= quota.capacity()).then(|| micros(needed - capacity)),
        }
    }

    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) {
        let (debt, _) = self.debt(now, quota);
        *self = Bucket::with(now, quota, debt + u128::from(cost) * u128::from(quota.window_micros()));
    }

    /// Gives a charge back. It takes time to come back by itself, after those before it; what has come back already
    /// cannot be given back again. The receipt is when all of it will have.
    pub(crate) fn refund(&mut self, now: u64, quota: &Quota, cost: u32, receipt: Option<u64>) {
        let mut back = u128::from(cost) * u128::from(quota.window_micros());
        if let Some(receipt) = receipt {
            back = back.min(u128::from(receipt.saturating_sub(now)) * u128::from(quota.limit()));
        }
        let (debt, _) = self.debt(now, quota);
        *self = Bucket::with(now, quota, debt.saturating_sub(back));
    }

    pub(crate) fn idle_from(&self) -> u64 {
        self.at + u64::from(self.fraction > 0)
    }
}
