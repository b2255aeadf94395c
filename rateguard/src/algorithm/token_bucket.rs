//! The token bucket, as the generic cell rate algorithm (ITU-T I.371): instead of tokens it keeps the time at which the
//! bucket will be full again.
//!
//! A token takes `window / limit` microseconds to come back, which is seldom a whole number. So times are counted in
//! microseconds and fractions of `1 / limit` of one, and no rate is ever rounded.
//!
//! Quotas of different rates have a bucket each, and every charge is taken from all of them: what one lets come back
//! sooner, another does not. A bucket of a new rate lacks as many tokens as the one that lacks most. All are kept until all
//! are full.

use smallvec::SmallVec;

use super::{Assessment, MOST_COUNTS};
use crate::quota::Quota;

/// When a bucket of `burst` tokens is full: at `at` microseconds and `fraction / limit` of one. It refills at `limit` tokens a
/// `window`.
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
        self.limit == quota.limit() && self.window == quota.window_micros()
    }

    fn full(now: u64, quota: &Quota) -> Bucket {
        Bucket { limit: quota.limit(), window: quota.window_micros(), burst: quota.capacity(), at: now, fraction: 0 }
    }

    /// What is missing from a full bucket, in units of a microsecond by the limit, of which a token is as many as the
    /// window has microseconds.
    fn debt(&self, now: u64) -> u128 {
        let limit = u128::from(self.limit);
        (u128::from(self.at) * limit + u128::from(self.fraction)).saturating_sub(u128::from(now) * limit)
    }

    /// The same bucket, if so much is missing.
    fn with(self, now: u64, debt: u128) -> Bucket {
        let limit = u128::from(self.limit.max(1));
        let at = now.saturating_add(u64::try_from(debt / limit).unwrap_or(u64::MAX));
        Bucket { at, fraction: u32::try_from(debt % limit).unwrap_or(0), ..self }
    }

    /// A bucket of this quota that misses as much; a part of a token is rounded up.
    fn convert(&self, now: u64, quota: &Quota) -> Bucket {
        let (from, to) = (u128::from(self.window.max(1)), u128::from(quota.window_micros()));
        let debt = self.debt(now);
        let (tokens, part) = (debt / from, debt % from);
        Bucket::full(now, quota).with(now, tokens * to + (part * to).div_ceil(from))
    }

    /// A bucket that is more than empty, since a clock stepped back, a quota was lowered or a larger bucket was charged,
    /// is empty. Whether it was.
    fn let_go(&mut self, now: u64) -> bool {
        let capacity = u128::from(self.burst) * u128::from(self.window);
        let excess = self.debt(now) > capacity;
        if excess {
            *self = self.with(now, capacity);
        }
        excess
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

    /// Takes tokens that were assessed at this time.
    pub(crate) fn charge(&mut self, now: u64, cost: u32) {
        *self = self.with(now, self.debt(now) + u128::from(cost) * u128::from(self.window));
        self.let_go(now);
    }

    fn is_full(&self, now: u64) -> bool {
        self.debt(now) == 0
    }

    fn end(&self) -> u64 {
        self.at.saturating_add(u64::from(self.fraction > 0))
    }
}

/// A bucket for each rate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets {
    buckets: SmallVec<[Bucket; 1]>,
    /// How many tokens were charged, less those of charges that were given back with none after them.
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
            bucket.let_go(now);
        }
        if self.buckets.iter().all(|bucket| bucket.is_full(now)) {
            self.buckets.clear();
        }
    }

    /// The bucket of a quota; if there is none, one that misses what is missed most. And whether it says something that
    /// is not kept yet.
    fn get(&self, now: u64, quota: &Quota) -> (Bucket, bool) {
        let own = self.buckets.iter().find(|bucket| bucket.is_of(quota)).copied();
        let more = |one: Bucket, other: Bucket| if other.debt(now) > one.debt(now) { other } else { one };
        let converted = || self.buckets.iter().map(|bucket| bucket.convert(now, quota)).reduce(more);
        let is_new = own.is_none();
        let mut bucket = own.or_else(converted).unwrap_or(Bucket::full(now, quota));
        bucket.burst = quota.capacity();
        let let_go = bucket.let_go(now);
        (bucket, let_go || is_new)
    }

    fn put(&mut self, own: Bucket) {
        if let Some(there) = self.buckets.iter_mut().find(|b| (b.limit, b.window) == (own.limit, own.window)) {
            *there = own;
            return;
        }
        if self.buckets.len() >= MOST_COUNTS
            && let Some(at) = (0..self.buckets.len()).min_by_key(|at| self.buckets.get(*at).map(Bucket::end))
        {
            self.buckets.remove(at);
        }
        self.buckets.push(own);
    }

    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        self.update(now);
        let (own, news) = self.get(now, quota);
        let assessment = own.assess(now, quota, cost);
        let is_there = self.buckets.iter().any(|bucket| bucket.is_of(quota));
        if news && (is_there || (!assessment.allowed && !own.is_full(now))) {
            self.put(own);
        }
        assessment
    }

    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) -> u64 {
        self.update(now);
        let (mut own, _) = self.get(now, quota);
        for bucket in &mut self.buckets {
            bucket.charge(now, cost);
        }
        own.charge(now, cost);
        self.put(own);
        self.charged += u64::from(cost);
        self.charged
    }

    /// Gives back the charge with which so many had been charged; without that, what comes back next. Tokens come back
    /// in the order in which they were charged; what has come back by itself cannot be given back again.
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
