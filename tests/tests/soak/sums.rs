//! Sums of windows.

use std::collections::BTreeMap;
use std::time::Duration;

/// A check that took a unit, at some time from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Taken {
    pub(crate) start: Duration,
    pub(crate) end: Duration,
}

impl Taken {
    pub(crate) fn took(self) -> Duration {
        self.end.saturating_sub(self.start)
    }
}

/// A policy and a key.
pub(crate) type Place = (&'static str, u64);

/// The units of one place, in the order in which their checks began.
pub(crate) type Units = BTreeMap<Place, Vec<Taken>>;

pub(crate) fn sorted(units: &mut Units) {
    for units in units.values_mut() {
        units.sort();
    }
}

/// Windows with more than the limit in them, of those that no excuse touches. Whatever lies wholly within a window's length
/// by the clock of those who asked was taken within it.
pub(crate) fn over(units: &Units, limit: usize, window: Duration, excuses: &[(Duration, Duration)]) -> Vec<String> {
    let mut over = Vec::new();
    for ((policy, key), units) in units {
        for (at, first) in units.iter().enumerate() {
            let until = first.start + window;
            if excuses.iter().any(|(from, to)| *to >= first.start && *from <= until) {
                continue;
            }
            let inside = units[at..].iter().take_while(|one| one.start < until).filter(|one| one.end < until).count();
            if inside > limit {
                over.push(format!("{policy}, key {key}: {inside} of {limit} in the window from {:.3?}", first.start));
            }
        }
    }
    over
}

/// How many units may have been taken in the window before the end of this check.
pub(crate) fn before(units: &Units, place: Place, check: Taken, window: Duration) -> usize {
    let from = check.start.saturating_sub(window);
    units.get(&place).map_or(0, |units| units.iter().filter(|one| one.end >= from && one.start <= check.end).count())
}
