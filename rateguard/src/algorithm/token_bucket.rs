//! The token bucket, as the generic cell rate algorithm (ITU-T I.371): instead of tokens it stores the time at which the
//! bucket will be full.
//!
//! A token takes `window / limit` microseconds to refill, which is rarely a whole number. So times are kept in microseconds
//! and a remainder in units of `1 / limit` microsecond, and no rate is ever rounded.
//!
//! Each rate and burst has its own bucket, and every charge is taken from all of them. So a burst that is lowered and raised
//! again gives no tokens back. A new bucket starts with as many tokens missing as the emptiest of the others. All buckets are
//! kept until all are full.

use smallvec::SmallVec;

use super::{Assessment, make_room};
use crate::quota::Quota;

/// A bucket of `burst` tokens that refills at `limit` tokens per `window`. It is full at `at` microseconds plus
/// `fraction / limit` of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) limit: u32,
    pub(crate) window: u64,
    pub(crate) burst: u32,
    pub(crate) at: u64,
    pub(crate) fraction: u32,
}

impl Bucket {
    fn is_of(&self, quota: &Quota) -> bool {
        (self.limit, self.window, self.burst) == (quota.limit(), quota.window_micros(), quota.capacity())
    }

    fn full(now: u64, quota: &Quota) -> Bucket {
        Bucket { limit: quota.limit(), window: quota.window_micros(), burst: quota.capacity(), at: now, fraction: 0 }
    }

    /// What is missing from a full bucket, in units of `1 / limit` microsecond. One token is `window` units.
    fn debt(&self, now: u64) -> u128 {
        let limit = u128::from(self.limit);
        (u128::from(self.at) * limit + u128::from(self.fraction)).saturating_sub(u128::from(now) * limit)
    }

    /// The same bucket with this much missing.
    fn with(self, now: u64, debt: u128) -> Bucket {
        let limit = u128::from(self.limit.max(1));
        let at = now.saturating_add(u64::try_from(debt / limit).unwrap_or(u64::MAX));
        Bucket { at, fraction: u32::try_from(debt % limit).unwrap_or(0), ..self }
    }

    /// A bucket of this quota with as many tokens missing, rounded up in the new unit.
    fn convert(&self, now: u64, quota: &Quota) -> Bucket {
        let (from, to) = (u128::from(self.window.max(1)), u128::from(quota.window_micros()));
        let debt = self.debt(now);
        let (tokens, part) = (debt / from, debt % from);
        Bucket::full(now, quota).with(now, tokens * to + (part * to).div_ceil(from))
    }

    /// Caps what is missing at a whole bucket. More can be missing if a clock stepped back, or a larger bucket was charged or
    /// converted.
    fn cap(&mut self, now: u64) {
        let capacity = u128::from(self.burst) * u128::from(self.window);
        if self.debt(now) > capacity {
            *self = self.with(now, capacity);
        }
    }

    pub(crate) fn assess(&self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        let token = u128::from(self.window.max(1));
        let capacity = u128::from(quota.capacity()) * token;
        let debt = self.debt(now).min(capacity);
        let needed = debt + u128::from(cost) * token;
        let allowed = needed <= capacity;
        let micros = |ticks: u128| u64::try_from(ticks.div_ceil(u128::from(self.limit.max(1)))).unwrap_or(u64::MAX);
        Assessment {
            allowed,
            available: u32::try_from((capacity - debt) / token).unwrap_or(u32::MAX),
            reset_idle: micros(debt),
            reset_charged: micros(needed),
            retry_after: (!allowed && cost <= quota.capacity()).then(|| micros(needed - capacity)),
        }
    }

    /// Takes tokens that were assessed at the same time.
    pub(crate) fn charge(&mut self, now: u64, cost: u32) {
        *self = self.with(now, self.debt(now) + u128::from(cost) * u128::from(self.window));
        self.cap(now);
    }

    fn is_full(&self, now: u64) -> bool {
        self.debt(now) == 0
    }

    fn end(&self) -> u64 {
        self.at.saturating_add(u64::from(self.fraction > 0))
    }
}

/// A bucket for each rate and burst.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets {
    buckets: SmallVec<[Bucket; 1]>,
    /// The tokens charged so far, without the newest charges if they were given back.
    charged: u64,
}

impl Buckets {
    pub(crate) fn of(bucket: Bucket) -> Buckets {
        Buckets { buckets: [bucket].into_iter().collect(), charged: 0 }
    }

    pub(crate) fn each(&self) -> &[Bucket] {
        &self.buckets
    }

    fn update(&mut self, now: u64) {
        for bucket in &mut self.buckets {
            bucket.cap(now);
        }
        if self.buckets.iter().all(|bucket| bucket.is_full(now)) {
            self.buckets.clear();
        }
    }

    /// The bucket of a quota. If there is none, the emptiest of the others, converted.
    fn get(&self, now: u64, quota: &Quota) -> Bucket {
        let own = self.buckets.iter().find(|bucket| bucket.is_of(quota)).copied();
        let converted = self.buckets.iter().map(|bucket| bucket.convert(now, quota));
        let mut bucket = own.or_else(|| converted.max_by_key(|b| b.debt(now))).unwrap_or(Bucket::full(now, quota));
        bucket.cap(now);
        bucket
    }

    fn has(&self, quota: &Quota) -> bool {
        self.buckets.iter().any(|bucket| bucket.is_of(quota))
    }

    fn add(&mut self, now: u64, own: Bucket) {
        make_room(&mut self.buckets, |b| (b.end().max(now), b.limit, b.window, b.burst));
        self.buckets.push(own);
    }

    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        self.update(now);
        let own = self.get(now, quota);
        let assessment = own.assess(now, quota, cost);
        if !assessment.allowed && !own.is_full(now) && !self.has(quota) {
            self.add(now, own);
        }
        assessment
    }

    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) -> u64 {
        self.update(now);
        let mut own = self.get(now, quota);
        for bucket in &mut self.buckets {
            bucket.charge(now, cost);
        }
        if !self.has(quota) {
            own.charge(now, cost);
            self.add(now, own);
        }
        self.charged += u64::from(cost);
        self.charged
    }

    /// Gives back the charge after which `at` tokens had been charged; without `at`, the tokens that refill next. Tokens
    /// refill in the order in which they were charged, and what has refilled cannot be given back again.
    pub(crate) fn refund(&mut self, now: u64, cost: u32, at: Option<u64>) {
        let after = match at {
            None => 0,
            Some(at) => match self.charged.checked_sub(at) {
                Some(after) => u128::from(after),
                None => return,
            },
        };
        self.update(now);
        if self.buckets.is_empty() {
            return;
        }
        for bucket in &mut self.buckets {
            let (token, debt) = (u128::from(bucket.window), bucket.debt(now));
            let left = debt.saturating_sub(u128::from(cost) * token).max(after * token);
            *bucket = bucket.with(now, left.min(debt));
        }
        if at == Some(self.charged) {
            self.charged = self.charged.saturating_sub(cost.into());
        }
        self.update(now);
    }

    pub(crate) fn idle_from(&self) -> u64 {
        self.buckets.iter().map(Bucket::end).max().unwrap_or(0)
    }
}
