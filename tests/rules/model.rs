//! The rules once more, as plainly as they can be written: what the library is compared with.

use rateguard::{Algorithm, Quota};

/// What is remembered for one key, in microseconds.
#[derive(Clone, Debug)]
pub(crate) enum Model {
    /// When each unit was admitted.
    SlidingWindow(Vec<u64>),
    FixedWindow {
        start: u64,
        used: u64,
    },
    SlidingCounter {
        start: u64,
        previous: u64,
        current: u64,
    },
    /// When the bucket is full again, as a fraction: numerator and denominator.
    TokenBucket(u128, u128),
}

impl Model {
    pub(crate) fn new(algorithm: Algorithm) -> Model {
        match algorithm {
            Algorithm::SlidingWindow => Model::SlidingWindow(Vec::new()),
            Algorithm::FixedWindow => Model::FixedWindow { start: 0, used: 0 },
            Algorithm::SlidingCounter => Model::SlidingCounter { start: 0, previous: 0, current: 0 },
            _ => Model::TokenBucket(0, 1),
        }
    }

    /// How many more units would be admitted now.
    pub(crate) fn available(&mut self, now: u64, quota: &Quota) -> u64 {
        let window = u64::try_from(quota.window().as_micros()).unwrap();
        let limit = u64::from(quota.limit());
        match self {
            Model::SlidingWindow(units) => {
                for unit in units.iter_mut() {
                    *unit = now.min(*unit);
                }
                units.retain(|unit| now - unit < window);
                limit.saturating_sub(units.len() as u64)
            }
            Model::FixedWindow { start, used } => {
                *start = now.min(*start);
                if now - *start >= window {
                    *used = 0;
                }
                limit.saturating_sub(*used)
            }
            Model::SlidingCounter { start, previous, current } => {
                *start = now.min(*start);
                while now - *start >= window && (*previous, *current) != (0, 0) {
                    (*start, *previous, *current) = (*start + window, *current, 0);
                }
                if (*previous, *current) == (0, 0) {
                    *start = now;
                }
                // The largest cost for which previous * (window - elapsed) / window + current + cost <= limit.
                let weight = u128::from(window - (now - *start));
                let fits = |cost: u64| {
                    u128::from(*previous) * weight + u128::from(*current + cost) * u128::from(window)
                        <= u128::from(limit) * u128::from(window)
                };
                (0..=limit).rev().find(|cost| fits(*cost)).unwrap_or(0)
            }
            Model::TokenBucket(full, per) => {
                let (counted, capacity, let_go) = bucket(*full, *per, now, quota);
                if let_go {
                    (*full, *per) = (counted, u128::from(limit));
                }
                let filled = u128::from(now) * u128::from(limit) + capacity - counted;
                u64::try_from(filled / u128::from(window)).unwrap()
            }
        }
    }

    /// Takes units that are available.
    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u64) {
        if cost == 0 {
            return;
        }
        match self {
            Model::SlidingWindow(units) => units.extend((0..cost).map(|_| now)),
            Model::FixedWindow { start, used } => {
                if *used == 0 {
                    *start = now;
                }
                *used += cost;
            }
            Model::SlidingCounter { current, .. } => *current += cost,
            Model::TokenBucket(full, per) => {
                let (counted, ..) = bucket(*full, *per, now, quota);
                (*full, *per) = (counted + u128::from(cost) * quota.window().as_micros(), u128::from(quota.limit()));
            }
        }
    }

    /// Gives units back, without a receipt.
    pub(crate) fn refund(&mut self, now: u64, quota: &Quota, cost: u64) {
        self.available(now, quota);
        match self {
            Model::SlidingWindow(units) => {
                let gone = units.len().min(usize::try_from(cost).unwrap());
                units.drain(..gone);
            }
            Model::FixedWindow { used, .. } => *used = used.saturating_sub(cost),
            Model::SlidingCounter { previous, current, .. } => {
                let from_previous = cost.saturating_sub(*current);
                *current = current.saturating_sub(cost);
                *previous = previous.saturating_sub(from_previous);
            }
            Model::TokenBucket(full, per) => {
                let (counted, ..) = bucket(*full, *per, now, quota);
                let back = u128::from(cost) * quota.window().as_micros();
                (*full, *per) = (counted.saturating_sub(back), u128::from(quota.limit()));
            }
        }
    }
}

/// When the bucket is full, in this quota's fractions of a microsecond, not before now and not later than an empty one
/// would be; what an empty one lacks; and whether it lacked more than that.
fn bucket(full: u128, per: u128, now: u64, quota: &Quota) -> (u128, u128, bool) {
    let limit = u128::from(quota.limit());
    // Of another limit's fractions, one that is begun counts as whole.
    let full = if per == limit { full } else { full.div_ceil(per) * limit };
    let capacity = u128::from(quota.capacity()) * quota.window().as_micros();
    let now = u128::from(now) * limit;
    (full.clamp(now, now + capacity), capacity, full > now + capacity)
}
