//! The sliding window: a log of what was allowed.
//!
//! A unit allowed at `t` counts while `now - t < window`. So in no interval of one window's length are more than
//! `limit` units allowed, wherever the interval begins.
//!
//! The log has entries of a first hit, a latest hit and units. For limits up to 512 only hits of the same microsecond
//! share an entry, and the log is exact. For larger ones an entry takes hits until a 1024th of the window has passed since
//! its first, and counts until a window has passed since its latest: never more than the limit are allowed, a unit is
//! held at most a 1024th of the window too long, and at most 1026 entries count, whatever the limit.
//!
//! What is kept is kept for the *horizon*: the longest window that was charged under, for as long as such a charge counts.

use std::collections::VecDeque;

use super::Assessment;
use crate::quota::Quota;

/// Up to this limit the log is exact.
const EXACT: u32 = 512;
/// An exact log whose horizon is longer than its window may hold more units than its limit, but no more than these.
const MOST_EXACT: u64 = 1024;
/// Into so many parts a window is divided.
const PARTS: u64 = 1024;

/// What was allowed and may still count, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    /// How many units there had been before the first entry.
    base: u64,
    horizon: Horizon,
    /// Whether entries take hits of different moments.
    merged: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    first: u64,
    latest: u64,
    /// How many units there have been, up to and with this entry.
    total: u64,
}

/// The longest window that was charged under, and what follows it once that counts no more.
#[derive(Clone, Copy, Debug, Default)]
struct Horizon {
    longest: u64,
    /// Until when it counts; 0: for as long as the newest unit does.
    until: u64,
    /// The longest of the windows charged under since, if there are shorter ones.
    next: u64,
}

impl Horizon {
    fn at(self, now: u64) -> Horizon {
        match self.until {
            0 => self,
            until if now >= until => Horizon { longest: self.next, until: 0, next: 0 },
            // A clock that stepped back.
            until => Horizon { until: until.min(now.saturating_add(self.longest)), ..self },
        }
    }

    /// After a charge under a window, the one before it having been made at `newest`.
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
    /// Brings the log to this time.
    fn update(&mut self, now: u64) {
        // A clock that stepped back leaves hits in the future. They happened, so they count; but only from now on, so
        // that nobody waits longer than a window.
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

    /// How many units there had been before this entry.
    fn before(&self, at: usize) -> u64 {
        at.checked_sub(1).and_then(|at| self.entries.get(at)).map_or(self.base, |entry| entry.total)
    }

    /// The first entry that counts in a window.
    fn first(&self, now: u64, window: u64) -> usize {
        self.entries.partition_point(|entry| now - entry.latest >= window)
    }

    /// Whether a hit now is taken by the last entry.
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
        // A limit that was lowered can be below what is counted already.
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
        // The oldest that counts takes the charge, and with it leaves later.
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

    /// What a longer window has denied is kept for it, or waiting would be shorter than was said.
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

    /// Puts neighbours together that one entry of this horizon can hold.
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

    /// Gives units back: those charged at that time, from the very entry that holds them; without a time, the oldest, so
    /// that what is left never counts for a shorter time than what was really allowed.
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

    /// How many units there are, those included that nobody has looked at since they left.
    pub(crate) fn units(&self) -> u64 {
        self.before(self.entries.len()).saturating_sub(self.base)
    }

    /// When nothing counts any more: from then on the log is as good as none.
    pub(crate) fn idle_from(&self) -> u64 {
        let Horizon { longest, until, next } = self.horizon;
        let after = |window: u64| self.entries.back().map_or(0, |entry| entry.latest.saturating_add(window));
        if until == 0 { after(longest) } else { until.max(after(next)) }
    }
}
