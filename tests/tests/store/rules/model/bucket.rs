//! The sliding counter and the token bucket.

use super::*;

impl Sliding {
    pub(super) fn at(self, now: u64, window: u64) -> Sliding {
        let mut counter = Sliding { window, start: self.start.min(now), ..self };
        while now - counter.start >= window && (counter.previous, counter.current) != (0, 0) {
            counter = Sliding { window, start: counter.start + window, previous: counter.current, current: 0 };
        }
        if (counter.previous, counter.current) == (0, 0) { Sliding { start: now, ..counter } } else { counter }
    }

    /// What a counter of another window would hold.
    pub(super) fn convert(self, now: u64, window: u64) -> Sliding {
        if window <= self.window {
            return self.at(now, window);
        }
        // It would have begun with the oldest unit.
        let oldest = if self.previous > 0 { self.start.saturating_sub(self.window) } else { self.start };
        let (mut previous, mut current) = (0, self.previous + self.current);
        let mut start = oldest;
        if now - oldest >= window {
            // Of the later units nobody knows in which of its windows they would be.
            (start, previous, current) = (oldest + window, self.previous, self.current);
        }
        Sliding { window, start, previous, current }
    }

    /// Parts of a unit, of which a unit is as many as the window has microseconds.
    pub(super) fn counted(&self, now: u64) -> u128 {
        u128::from(self.previous) * u128::from(self.window - (now - self.start))
            + u128::from(self.current) * u128::from(self.window)
    }
}

impl Bucket {
    pub(super) fn of(quota: &Quota, now: u64) -> Bucket {
        Bucket {
            limit: quota.limit().into(),
            window: window(quota),
            burst: quota.capacity().into(),
            at: now,
            missing: Vec::new(),
        }
    }

    pub(super) fn is_of(&self, quota: &Quota) -> bool {
        (self.limit, self.window, self.burst) == (quota.limit().into(), window(quota), quota.capacity().into())
    }

    pub(super) fn total(&self) -> u128 {
        self.missing.iter().map(|(_, parts)| parts).sum()
    }

    /// Takes so many parts from those that come back first.
    pub(super) fn take(&mut self, mut parts: u128) {
        for (_, missing) in &mut self.missing {
            let back = parts.min(*missing);
            *missing -= back;
            parts -= back;
        }
        self.missing.retain(|(_, missing)| *missing > 0);
    }

    pub(super) fn update(&mut self, now: u64) {
        let parts = |time: u64| u128::from(time) * u128::from(self.limit);
        if now >= self.at {
            self.take(parts(now - self.at));
        } else {
            // A clock that stepped back: it takes that much longer.
            let more = parts(self.at - now);
            if let Some((_, missing)) = self.missing.first_mut() {
                *missing += more;
            }
        }
        self.at = now;
        self.limit();
    }

    pub(super) fn convert(&self, quota: &Quota) -> Bucket {
        let (from, to) = (u128::from(self.window), u128::from(window(quota)));
        let missing = self.missing.iter().map(|(number, parts)| (*number, (parts * to).div_ceil(from))).collect();
        Bucket { missing, ..Bucket::of(quota, self.at) }
    }

    /// No more is missing than there was.
    pub(super) fn limit(&mut self) {
        self.take(self.total().saturating_sub(u128::from(self.burst) * u128::from(self.window)));
    }

    pub(super) fn full_at(&self) -> u64 {
        self.at + u64::try_from(self.total().div_ceil(self.limit.into())).unwrap()
    }
}
