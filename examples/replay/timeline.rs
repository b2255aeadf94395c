//! Requests and denials over time, in at most [`MOST`] intervals whose length grows with the log.

use crate::time::SECOND;

/// The most intervals.
pub(crate) const MOST: usize = 240;
/// Lengths of an interval in seconds. Each is a multiple of the one before.
const LENGTHS: [u64; 12] = [1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 604_800];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) requests: u64,
    /// By quota.
    pub(crate) denied: Vec<u64>,
}

#[derive(Debug)]
pub(crate) struct Timeline {
    /// In seconds.
    pub(crate) length: u64,
    /// The number of the first interval since 1970.
    pub(crate) first: u64,
    pub(crate) intervals: Vec<Interval>,
    quotas: usize,
}

impl Timeline {
    pub(crate) fn new(quotas: usize) -> Timeline {
        Timeline { length: 1, first: 0, intervals: Vec::new(), quotas }
    }

    /// Adds a request, and whether each quota denies it. Times never go back.
    pub(crate) fn add(&mut self, micros: u64, denied: &[bool]) {
        let seconds = micros / SECOND;
        if self.intervals.is_empty() {
            self.first = seconds / self.length;
        }
        while self.place(seconds) >= MOST {
            self.coarsen();
        }
        let place = self.place(seconds);
        if place >= self.intervals.len() {
            self.intervals.resize(place + 1, Interval { requests: 0, denied: vec![0; self.quotas] });
        }
        if let Some(interval) = self.intervals.get_mut(place) {
            interval.requests += 1;
            interval.denied.iter_mut().zip(denied).for_each(|(sum, &denied)| *sum += u64::from(denied));
        }
    }

    fn place(&self, seconds: u64) -> usize {
        usize::try_from((seconds / self.length).saturating_sub(self.first)).unwrap_or(usize::MAX)
    }

    /// Goes on with the next length. Above the longest one, each length is twice the one before.
    fn coarsen(&mut self) {
        let next = LENGTHS.iter().find(|length| **length > self.length).map_or(self.length * 2, |length| *length);
        let times = next / self.length;
        let first = self.first / times;
        let mut coarse: Vec<Interval> = Vec::new();
        for (at, interval) in (self.first..).zip(self.intervals.drain(..)) {
            let place = usize::try_from(at / times - first).unwrap_or(usize::MAX);
            match coarse.get_mut(place) {
                Some(sum) => {
                    sum.requests += interval.requests;
                    sum.denied.iter_mut().zip(interval.denied).for_each(|(sum, denied)| *sum += denied);
                }
                None => coarse.push(interval),
            }
        }
        *self = Timeline { length: next, first, intervals: coarse, quotas: self.quotas };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(seconds: impl IntoIterator<Item = u64>) -> Timeline {
        let mut timeline = Timeline::new(1);
        for second in seconds {
            timeline.add(second * SECOND, &[second % 2 == 1]);
        }
        timeline
    }

    #[test]
    fn the_intervals_of_a_day_are_a_quarter_of_an_hour_long() {
        let day = timeline(86_400..2 * 86_400);
        assert_eq!((day.length, day.first, day.intervals.len()), (900, 96, 96));
        assert!(day.intervals.iter().all(|interval| interval.requests == 900 && interval.denied == [450]));
    }

    #[test]
    fn nothing_is_lost_whatever_the_span() {
        for span in [1, 239, 240, 241, 5000, 86_400 * 365, 86_400 * 365 * 2000] {
            let log = timeline([7, 7 + span / 3, 7 + span / 2, 7 + span]);
            assert!(log.intervals.len() <= MOST, "{span}");
            assert_eq!(log.intervals.iter().map(|interval| interval.requests).sum::<u64>(), 4, "{span}");
            assert_eq!(log.first, 7 / log.length);
        }
    }
}
