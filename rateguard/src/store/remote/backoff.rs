//! How soon to connect again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);
/// A connection that lasts so long has been worth its while; one that does not goes on with the waiting where it was,
/// so that a server that lets everyone in and throws everyone out again is not asked more often than one that is away.
pub(crate) const SETTLED: Duration = Duration::from_secs(2);

/// The waiting between attempts: twice as long with each, to a second, and anything between half and all of that, so
/// that many servers do not come at once. At most seven attempts in any second, and two once it lasts.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    failures: u32,
}

impl Pace {
    /// How long to wait now.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let thousandths = u32::try_from(RandomState::new().hash_one(self.failures) % 500).unwrap_or(0);
        longest.mul_f64(0.5 + f64::from(thousandths) / 1000.0)
    }

    /// A connection has lasted.
    pub(crate) fn settled(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_bounded_whatever_the_chance() {
        for _ in 0..200 {
            let mut pace = Pace::default();
            let waits: Vec<Duration> = (0..40).map(|_| pace.next()).collect();
            let first_second = waits.iter().scan(Duration::ZERO, |at, wait| {
                *at += *wait;
                Some(*at)
            });
            assert!(first_second.take_while(|at| *at < Duration::from_secs(1)).count() <= 6);
            assert!(waits[5..].iter().all(|wait| *wait >= LONGEST / 2 && *wait <= LONGEST));
            pace.settled();
            assert!(pace.next() <= FIRST);
        }
    }
}
