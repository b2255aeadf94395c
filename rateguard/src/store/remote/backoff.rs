//! When to connect again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);
/// A connection that has lasted this long ends an outage. One that breaks sooner does not reset the backoff, so a server that
/// accepts connections and drops them at once is tried no more often than one that cannot be reached.
pub(crate) const SETTLED: Duration = Duration::from_secs(2);

/// The pauses between attempts. They double up to one second, and each is shortened at random by up to half, so that many
/// processes do not connect at the same moment. At most seven attempts in any second, and two in a long outage.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let thousandths = u32::try_from(RandomState::new().hash_one(self.failures) % 500).unwrap_or(0);
        longest.mul_f64(0.5 + f64::from(thousandths) / 1000.0)
    }

    /// A connection has lasted.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_attempts_is_bounded_whatever_the_random_part() {
        for _ in 0..200 {
            let mut backoff = Backoff::default();
            let pauses: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
            let first_second = pauses.iter().scan(Duration::ZERO, |at, pause| {
                *at += *pause;
                Some(*at)
            });
            assert!(first_second.take_while(|at| *at < Duration::from_secs(1)).count() <= 6);
            assert!(pauses[5..].iter().all(|pause| *pause >= LONGEST / 2 && *pause <= LONGEST));
            backoff.reset();
            assert!(backoff.next() <= FIRST);
        }
    }
}
