//! The sliding window.

use super::*;

impl Log {
    pub(super) fn update(&mut self, now: u64) {
        for group in &mut self.groups {
            group.first = group.first.min(now);
            group.latest = group.latest.min(now);
        }
        if let Some((until, next)) = self.follows {
            if now >= until {
                (self.horizon, self.follows) = (next, None);
            } else {
                self.follows = Some((until.min(now + self.horizon), next));
            }
        }
        let horizon = self.horizon;
        self.groups.retain(|group| now - group.latest < horizon);
        if self.groups.is_empty() {
            *self = Log::default();
        }
    }

    pub(super) fn units(&self, now: u64, window: u64) -> u64 {
        self.groups.iter().filter(|group| now - group.latest < window).map(|group| group.units).sum()
    }

    /// One group after the other takes what follows within a 1024th of the horizon from its first hit.
    pub(super) fn merge(&mut self) {
        if !self.merged {
            return;
        }
        let mut merged: Vec<Group> = Vec::new();
        for group in self.groups.drain(..) {
            match merged.last_mut() {
                Some(last) if (group.latest - last.first) * 1024 < self.horizon => {
                    last.latest = group.latest;
                    last.units += group.units;
                }
                _ => merged.push(group),
            }
        }
        self.groups = merged;
    }

    pub(super) fn charge(&mut self, now: u64, window: u64, limit: u64, cost: u64) {
        self.update(now);
        let newest = self.groups.last().map(|group| group.latest);
        match (newest, self.follows) {
            (None, _) => {
                *self = Log { horizon: window, merged: limit > 512, ..Log::default() };
            }
            _ if window >= self.horizon => {
                let grew = window > self.horizon;
                (self.horizon, self.follows) = (window, None);
                if grew {
                    self.merge();
                }
            }
            (Some(newest), None) => self.follows = Some((newest + self.horizon, window)),
            (Some(_), Some((until, next))) => self.follows = Some((until, next.max(window))),
        }
        let held: u64 = self.groups.iter().map(|group| group.units).sum();
        if !self.merged && (limit > 512 || held + cost > 1024) {
            self.merged = true;
            self.merge();
        }
        self.groups.push(Group { first: now, latest: now, units: cost });
        match self.groups.as_mut_slice() {
            [.., last, new] if (self.merged && (now - last.first) * 1024 < self.horizon) || last.latest == now => {
                last.latest = now;
                last.units += new.units;
                self.groups.pop();
            }
            _ => {}
        }
    }

    pub(super) fn refund(&mut self, now: u64, window: u64, cost: u64, at: Option<u64>) {
        self.update(now);
        let mut cost = cost;
        for group in &mut self.groups {
            let its_own = match at {
                None => now - group.latest < window,
                Some(at) => at <= now && group.first <= at && at <= group.latest,
            };
            if its_own {
                let back = cost.min(group.units);
                group.units -= back;
                cost -= back;
            }
        }
        self.groups.retain(|group| group.units > 0);
    }
}
