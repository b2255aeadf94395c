//! What one quota would have done: to a client, or to all of them.

use crate::time::MINUTE;

/// Denials, in the order of their times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) denied: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The minute with the most denials, the first of them: when it begins, and how many.
    pub(crate) busiest: (u64, u64),
    current: (u64, u64),
}

impl Tally {
    pub(crate) fn deny(&mut self, micros: u64) {
        if self.denied == 0 {
            self.first = micros;
        }
        self.last = micros;
        self.denied += 1;
        let minute = micros / MINUTE * MINUTE;
        if self.current.0 != minute {
            self.current = (minute, 0);
        }
        self.current.1 += 1;
        if self.current.1 > self.busiest.1 {
            self.busiest = self.current;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_minute_is_the_first_with_the_most_denials() {
        let mut tally = Tally::default();
        for second in [50, 61, 70, 119, 120, 130, 140, 400] {
            tally.deny(second * 1_000_000);
        }
        assert_eq!((tally.denied, tally.first, tally.last), (8, 50_000_000, 400_000_000));
        assert_eq!(tally.busiest, (60_000_000, 3));
    }
}
