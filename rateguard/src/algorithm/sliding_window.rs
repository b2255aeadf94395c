//! The sliding window: a log of the allowed units.
//!
//! A unit allowed at `t` counts while `now - t < window`. So in no interval of one window's length are more than `limit`
//! units allowed, wherever the interval begins.
//!
//! An entry of the log has a first hit, a latest hit and units. For limits up to 512, only hits of the same microsecond
//! share an entry, and the log is exact. For larger limits, an entry takes hits until 1/1024 of the window has passed since
//! its first hit, and counts until a window has passed since its latest. So never more than the limit is allowed, a unit
//! counts at most 1/1024 of the window too long, and at most 1026 entries count, whatever the limit.
//!
//! Entries are kept for the *horizon*: the longest window that was charged under, as long as such a charge counts.

use std::collections::VecDeque;

use super::Assessment;
use crate::quota::Quota;

/// Up to this limit the log is exact.
const EXACT: u32 = 512;
/// An exact log whose horizon is longer than its window may hold more units than its limit, but not more than this.
const MOST_EXACT: u64 = 1024;
/// An entry of a merged log takes hits for one of so many parts of the window.
const PARTS: u64 = 1024;

/// The allowed units that may still count, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    /// The number of units before the first entry.
    base: u64,
    horizon: Horizon,
    /// Whether entries take hits of different times.
    merged: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    first: u64,
    latest: u64,
    /// The number of units up to and including this entry.
    total: u64,
}

/// The longest window that was charged under, and what replaces it when that no longer counts.
#[derive(Clone, Copy, Debug, Default)]
struct Horizon {
    longest: u64,
    /// The time until which it counts. 0: as long as the newest unit does.
    until: u64,
    /// The longest of the shorter windows that were charged under since.
    next: u64,
}

impl Horizon {
    fn at(self, now: u64) -> Horizon {
        match self.until {
            0 => self,
            until if now >= until => Horizon { longest: self.next, until: 0, next: 0 },
            // The clock may have stepped back.
            until => Horizon { until: until.min(now.saturating_add(self.longest)), ..self },
        }
    }

    /// The horizon after a charge under a window. The charge before it was at `newest`.
    fn with(self, window: u64, newest: u64) -> Horizon {
        if window >= self.longest {
            Horizon { longest: window, until: 0, next: 0 }
        } else if self.until == 0 {
            Horizon { until: newest.saturating_add(self.longest), next: window, ..self }
        } else {
            Horizon { next: self.next.max(window), ..self }
        }
    }
}

impl Log {
    /// Moves the log to this time.
    fn update(&mut self, now: u64) {
        // A clock that stepped back leaves hits in the future. They count as hits of now, so that nobody waits longer than
        // a window.
        for entry in self.entries.iter_mut().rev().take_while(|entry| entry.latest > now) {
            entry.latest = now;
            entry.first = entry.first.min(now);
        }
        self.horizon = self.horizon.at(now);
        while let Some(entry) = self.entries.front().filter(|entry| now - entry.latest >= self.horizon.longest) {
            self.base = entry.total;
            self.entries.pop_front();
        }
        if self.entries.is_empty() {
            *self = Log::default();
        }
    }

    /// The number of units before this entry.
    fn before(&self, at: usize) -> u64 {
        at.checked_sub(1).and_then(|at| self.entries.get(at)).map_or(self.base, |entry| entry.total)
    }

    /// The first entry that counts in a window.
    fn first(&self, now: u64, window: u64) -> usize {
        self.entries.partition_point(|entry| now - entry.latest >= window)
    }

    /// Whether the last entry takes a hit of now.
    fn joins_last(&self, now: u64) -> bool {
        let takes = |last: &Entry| {
            if self.merged {
                (now - last.first).saturating_mul(PARTS) < self.horizon.longest
            } else {
                last.latest == now
            }
        };
        self.entries.back().is_some_and(takes)
    }

    pub(crate) fn assess(&mut self, now: u64, quota: &Quota, cost: u32) -> Assessment {
        let (limit, window, cost) = (u64::from(quota.limit()), quota.window_micros(), u64::from(cost));
        self.update(now);
        let first = self.first(now, window);
        let before = self.before(first);
        let used = self.before(self.entries.len()).saturating_sub(before);
        // A lowered limit can be below what is counted already.
        let available = limit.saturating_sub(used);
        let leaves = |entry: &Entry| entry.latest.saturating_add(window) - now;
        let reset_idle = self.entries.get(first).map_or(0, leaves);
        let allowed = cost <= available;
        let retry_after = if allowed || cost > limit {
            None
        } else {
            let gone = before + (used + cost).saturating_sub(limit);
            self.entries.get(self.entries.partition_point(|entry| entry.total < gone)).map(leaves)
        };
        // The oldest entry that counts takes the charge, and then ends later.
        let renews = first + 1 >= self.entries.len() && (reset_idle == 0 || self.joins_last(now));
        if !allowed {
            self.keep_for(window);
        }
        Assessment {
            allowed,
            available: u32::try_from(available).unwrap_or(u32::MAX),
            reset_idle,
            reset_charged: if renews { window } else { reset_idle },
            retry_after,
        }
    }

    /// Keeps entries for a window that denied, since its `retry_after` depends on them.
    fn keep_for(&mut self, window: u64) {
        if window > self.horizon.longest {
            self.horizon = Horizon { longest: window, until: 0, next: 0 };
            self.merge();
        } else if self.horizon.until > 0 {
            self.horizon.next = self.horizon.next.max(window);
        }
    }

    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u32) -> u64 {
        self.update(now);
        let window = quota.window_micros();
        match self.entries.back() {
            None => {
                self.horizon = Horizon { longest: window, until: 0, next: 0 };
                self.merged = quota.limit() > EXACT;
            }
            Some(newest) => {
                let longest = self.horizon.longest;
                self.horizon = self.horizon.with(window, newest.latest);
                let held = self.before(self.entries.len()) - self.base;
                let too_many = quota.limit() > EXACT || held + u64::from(cost) > MOST_EXACT;
                if (!self.merged && too_many) || self.horizon.longest > longest {
                    self.merged |= too_many;
                    self.merge();
                }
            }
        }
        let total = self.before(self.entries.len()) + u64::from(cost);
        let joins = self.joins_last(now);
        match self.entries.back_mut() {
            Some(last) if joins => (last.latest, last.total) = (now, total),
            _ => self.entries.push_back(Entry { first: now, latest: now, total }),
        }
        now
    }

    /// Merges neighbours that fit into one entry of this horizon.
    fn merge(&mut self) {
        if !self.merged {
            return;
        }
        let mut merged: VecDeque<Entry> = VecDeque::new();
        for entry in &self.entries {
            match merged.back_mut() {
                Some(last) if (entry.latest - last.first).saturating_mul(PARTS) < self.horizon.longest => {
                    (last.latest, last.total) = (entry.latest, entry.total);
                }
                _ => merged.push_back(*entry),
            }
        }
        self.entries = merged;
    }

    /// Gives units back: those charged at that time, from the entry that holds them. Without a time, the oldest, so that
    /// the units that stay never count for a shorter time than those that were really allowed.
    pub(crate) fn refund(&mut self, now: u64, quota: &Quota, cost: u32, at: Option<u64>) {
        self.update(now);
        let (first, until) = match at {
            None => (self.first(now, quota.window_micros()), self.entries.len()),
            Some(at) => {
                let found = self.entries.partition_point(|entry| entry.latest < at);
                let holds = at <= now && self.entries.get(found).is_some_and(|entry| entry.first <= at);
                (found, if holds { found + 1 } else { found })
            }
        };
        let before = self.before(first);
        let gone = u64::from(cost).min(self.before(until).saturating_sub(before));
        for entry in self.entries.iter_mut().skip(first) {
            entry.total -= gone.min(entry.total - before);
        }
        let mut previous = self.base;
        self.entries.retain(|entry| std::mem::replace(&mut previous, entry.total) < entry.total);
        if self.entries.is_empty() {
            *self = Log::default();
        }
    }

    /// The number of units in the log, including those that ended since its last update.
    pub(crate) fn units(&self) -> u64 {
        self.before(self.entries.len()).saturating_sub(self.base)
    }

    /// The time from which nothing counts any more, so that the log can be dropped.
    pub(crate) fn idle_from(&self) -> u64 {
        let Horizon { longest, until, next } = self.horizon;
        let after = |window: u64| self.entries.back().map_or(0, |entry| entry.latest.saturating_add(window));
        if until == 0 { after(longest) } else { until.max(after(next)) }
    }
}
