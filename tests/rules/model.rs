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
                // To the fractions of this quota; one that is begun counts as whole.
                if *per != u128::from(limit) {
                    *full = full.div_ceil(*per) * u128::from(limit);
                    *per = u128::from(limit);
                }
                let now = u128::from(now) * *per;
                let capacity = u128::from(quota.capacity()) * u128::from(window);
                *full = (*full).clamp(now, now + capacity);
                u64::try_from((now + capacity - *full) / u128::from(window)).unwrap()
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
            Model::TokenBucket(full, _) => *full += u128::from(cost) * quota.window().as_micros(),
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
            Model::TokenBucket(full, _) => *full = full.saturating_sub(u128::from(cost) * quota.window().as_micros()),
        }
    }
}
