//! The time that counts against a store.
//!
//! A deadline measures the store, never the program. A task that is not polled for a while, since a handler blocks its
//! thread, cannot know whether the answer came meanwhile. So the task that serves a store looks at the time at least once
//! a tick while anybody waits, and of what has passed since its last look only little more than a tick counts.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_timer::Delay;

/// The longest tick.
const LONGEST: Duration = Duration::from_millis(10);
/// The shortest, for deadlines of a few milliseconds.
const SHORTEST: Duration = Duration::from_millis(1);

/// How often whoever waits for that long looks at the time.
pub(crate) fn tick(deadline: Duration) -> Duration {
    (deadline / 10).clamp(SHORTEST, LONGEST)
}

/// Counts the time in which its task is driven.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    last: Instant,
    counted: Duration,
    /// What counts of one look at most.
    most: Duration,
}

impl Stopwatch {
    /// For a task that looks once a tick.
    pub(crate) fn new(tick: Duration) -> Stopwatch {
        Stopwatch { last: Instant::now(), counted: Duration::ZERO, most: tick * 3 / 2 }
    }

    /// What has counted so far. To be asked once a tick at least.
    pub(crate) fn now(&mut self) -> Duration {
        self.at(Instant::now())
    }

    /// The same, where the time has been looked at already.
    pub(crate) fn at(&mut self, now: Instant) -> Duration {
        self.counted += now.saturating_duration_since(self.last).min(self.most);
        self.last = now;
        self.counted
    }

    /// What had counted when it was last asked.
    pub(crate) fn last(&self) -> Duration {
        self.counted
    }
}

/// What the future comes to; `None` if it takes longer than that, by a stopwatch. An answer that has come is always taken.
pub(crate) async fn within<F: Future>(deadline: Duration, future: F) -> Option<F::Output> {
    let tick = tick(deadline);
    let mut watch = Stopwatch::new(tick);
    let mut delay = Delay::new(tick);
    let mut future = pin!(future);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let passed = watch.now();
            if pin!(&mut delay).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if passed >= deadline {
                return Poll::Ready(None);
            }
            delay.reset(tick);
        }
    })
    .await
}

/// What the future comes to. Until then something is done once a tick.
#[cfg(feature = "redis")]
pub(crate) async fn meanwhile<F: Future>(tick: Duration, future: F, mut each: impl FnMut()) -> F::Output {
    let mut delay = Delay::new(tick);
    let mut future = pin!(future);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            if pin!(&mut delay).poll(cx).is_pending() {
                return Poll::Pending;
            }
            each();
            delay.reset(tick);
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_pause_without_a_look_little_more_than_a_tick_counts() {
        let tick = Duration::from_millis(10);
        let mut watch = Stopwatch::new(tick);
        let start = watch.last;
        let at = |watch: &mut Stopwatch, millis| watch.at(start + Duration::from_millis(millis));
        assert_eq!(at(&mut watch, 9), Duration::from_millis(9));
        assert_eq!(at(&mut watch, 19), Duration::from_millis(19));
        assert_eq!(at(&mut watch, 3019), Duration::from_millis(34));
        assert_eq!(at(&mut watch, 3018), Duration::from_millis(34), "no time is ever taken back");
        assert_eq!(at(&mut watch, 3023), Duration::from_millis(39));
    }

    #[test]
    fn a_tick_suits_the_deadline() {
        assert_eq!(tick(Duration::from_millis(100)), Duration::from_millis(10));
        assert_eq!(tick(Duration::from_secs(10)), Duration::from_millis(10));
        assert_eq!(tick(Duration::from_millis(20)), Duration::from_millis(2));
        assert_eq!(tick(Duration::from_micros(10)), Duration::from_millis(1));
    }
}
