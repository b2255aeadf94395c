//! How many calls may be under way at once, and how long an answer is expected to take.
//!
//! A call decides up to 64 checks, and the checks that come meanwhile share the next one. With a server nearby, one call at a
//! time is the least work for both sides. Where the round trip is long, or the server is busy, one is too few. So the window
//! grows by one with each quick answer while checks wait, and shrinks by a quarter when answers take long: then the server is
//! the limit, and further calls would only wait there, and be charged and answered too late. (The idea of TCP Vegas: Brakmo
//! and Peterson, 1995.)

use std::time::Duration;

/// The most calls under way.
const MOST: usize = 128;
/// A call that is not full is sent this long after the one before it, so that it gathers more checks.
const GATHER: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Window {
    deadline: Duration,
    calls: usize,
    /// The quickest recent answer.
    quickest: Option<Duration>,
    /// How long an answer usually takes.
    usual: Duration,
    /// The number of the first call that was sent after the window last shrank.
    shrunk_at: u64,
}

impl Window {
    pub(super) fn new(deadline: Duration) -> Window {
        Window { deadline, calls: 1, quickest: None, usual: Duration::ZERO, shrunk_at: 0 }
    }

    /// Whether another call may be sent. `since` is how long ago the last one was sent.
    pub(super) fn allows(&self, under_way: usize, is_full: bool, since: Duration) -> bool {
        under_way == 0
            || (under_way < self.calls && (is_full || since >= GATHER.max(self.quickest.unwrap_or_default() / 4)))
    }

    /// How long an answer is expected to take.
    pub(super) fn expected(&self) -> Duration {
        self.usual
    }

    /// A call was answered. Calls are numbered in the order of sending. `wanted` says whether checks wait that the window does
    /// not allow to be sent; `next` is the number of the next call.
    pub(super) fn answered(&mut self, call: u64, took: Duration, wanted: bool, next: u64) {
        // An old minimum is forgotten slowly, because the round trip may have become longer.
        let quickest = self.quickest.map_or(took, |quickest| took.min(quickest + quickest / 256));
        self.quickest = Some(quickest);
        self.usual = (self.usual * 7 + took) / 8;
        let soon = (self.deadline / 3).max(quickest * 5 / 4);
        if took > soon * 3 / 2 {
            if call >= self.shrunk_at {
                self.calls = (self.calls * 3 / 4).max(1);
                self.shrunk_at = next;
            }
        } else if took <= soon && wanted {
            self.calls = (self.calls + 1).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);
    const SOON: Duration = Duration::from_micros(100);

    #[test]
    fn one_call_at_a_time_is_enough_while_no_checks_wait() {
        let mut window = Window::new(100 * MILLI);
        assert!(window.allows(0, false, Duration::ZERO));
        for call in 0..1000 {
            window.answered(call, SOON, false, call + 1);
        }
        assert!(!window.allows(1, true, MILLI));
    }

    #[test]
    fn with_a_long_round_trip_and_waiting_checks_more_calls_are_under_way() {
        let mut window = Window::new(100 * MILLI);
        for call in 0..200 {
            window.answered(call, 20 * MILLI, true, call + 1);
        }
        assert!(window.allows(MOST - 1, true, Duration::ZERO));
        assert!(!window.allows(MOST, true, Duration::from_secs(1)), "but not without a bound");
        assert!(!window.allows(1, false, MILLI), "a call that is not full gathers more checks");
        assert!(window.allows(1, false, 5 * MILLI));
    }

    #[test]
    fn when_answers_take_long_fewer_calls_are_under_way_but_never_none() {
        let mut window = Window::new(100 * MILLI);
        for call in 0..63 {
            window.answered(call, MILLI, true, call + 1);
        }
        assert!(window.allows(63, true, Duration::ZERO));
        // The calls that were under way together shrink the window once.
        for call in 63..127 {
            window.answered(call, 60 * MILLI, true, 127);
        }
        assert!(window.allows(47, true, Duration::ZERO) && !window.allows(48, true, Duration::ZERO));
        for call in 127..200 {
            window.answered(call, 90 * MILLI, true, call + 1);
        }
        assert!(!window.allows(1, true, Duration::ZERO) && window.allows(0, true, Duration::ZERO));
        assert!(window.expected() > 80 * MILLI);
    }
}
