//! The time that counts against a store.
//!
//! A deadline measures the store, never the program. A task that is not polled for a while, since a handler blocks its
//! thread, cannot know whether the answer came meanwhile; nor can one that is polled before the runtime has looked at its
//! sockets, which a busy runtime does only now and then. So the task that serves a store looks at the time once a tick
//! while anybody waits, and only after the runtime has seen to its sockets and the tasks that read them; and of what has
//! passed since its last look, little more than a tick counts.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::task::AtomicWaker;
use tokio::task::yield_now;

/// The longest tick.
const LONGEST: Duration = Duration::from_millis(10);
/// The shortest, for deadlines of a few milliseconds.
const SHORTEST: Duration = Duration::from_millis(1);
/// Turns of the runtime before a look counts: one in which it sees to its sockets, and one in which the task that reads
/// from them, woken by that, is polled.
const TURNS: u8 = 2;

/// How often whoever waits for that long looks at the time.
pub(crate) fn tick(deadline: Duration) -> Duration {
    (deadline / 10).clamp(SHORTEST, LONGEST)
}

/// Counts the time in which its task and its runtime are driven.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    last: Instant,
    counted: Duration,
    /// What counts between two looks at most.
    most: Duration,
}

impl Stopwatch {
    /// For a task that looks once a tick.
    pub(crate) fn new(tick: Duration) -> Stopwatch {
        Stopwatch { last: Instant::now(), counted: Duration::ZERO, most: tick * 3 / 2 }
    }

    /// What has counted so far.
    pub(crate) fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// The same, where the time is known.
    pub(crate) fn at(&self, now: Instant) -> Duration {
        self.counted + now.saturating_duration_since(self.last).min(self.most)
    }

    /// A look: what has passed so far counts, and what passes from now on will.
    pub(crate) fn look(&mut self, now: Instant) -> Duration {
        self.counted = self.at(now);
        self.last = now;
        self.counted
    }
}

/// Ticks, each of which ends with turns of the runtime.
#[derive(Debug)]
pub(crate) struct Ticks {
    tick: Duration,
    timer: Delay,
    /// Turns that are still to come in this tick; none while the timer runs.
    turns: u8,
    turned: Arc<Turned>,
}

/// Told by the runtime when it has run what was ready and seen to its sockets.
#[derive(Debug, Default)]
struct Turned {
    is: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Turned {
    fn wake(self: Arc<Self>) {
        self.is.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Turned {
    /// Has the runtime tell at the end of this turn. A task that yields is not woken before; here only the waking is of
    /// interest, so that no other wake is taken for it.
    fn begin(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let _ = pin!(yield_now()).poll(&mut Context::from_waker(&waker));
    }
}

impl Ticks {
    pub(crate) fn new(tick: Duration) -> Ticks {
        Ticks { tick, timer: Delay::new(tick), turns: 0, turned: Arc::default() }
    }

    /// Whether a tick is over. The next one begins.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.turns == 0 {
            ready!(pin!(&mut self.timer).poll(cx));
            self.turns = TURNS;
            self.turned.is.store(false, Ordering::Release);
            self.turned.begin();
        }
        self.turned.task.register(cx.waker());
        while self.turned.is.swap(false, Ordering::AcqRel) {
            self.turns -= 1;
            if self.turns == 0 {
                self.timer.reset(self.tick);
                return Poll::Ready(());
            }
            self.turned.begin();
        }
        Poll::Pending
    }
}

/// What the future comes to; `None` if it takes longer than that, by a stopwatch. An answer that has come is always taken.
pub(crate) async fn within<F: Future>(deadline: Duration, future: F) -> Option<F::Output> {
    let tick = tick(deadline);
    let mut watch = Stopwatch::new(tick);
    let mut passed = Duration::ZERO;
    each_tick(tick, future, || {
        passed = watch.look(Instant::now());
        passed < deadline
    })
    .await
}

/// What the future comes to. Until then something is done once a tick, which may end it.
pub(crate) async fn each_tick<F: Future>(
    tick: Duration,
    future: F,
    mut go_on: impl FnMut() -> bool,
) -> Option<F::Output> {
    let mut ticks = Ticks::new(tick);
    let mut future = pin!(future);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            ready!(ticks.poll(cx));
            if !go_on() {
                return Poll::Ready(None);
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_pause_without_a_look_little_more_than_a_tick_counts() {
        let mut watch = Stopwatch::new(Duration::from_millis(10));
        let start = watch.last;
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(watch.at(at(9)), Duration::from_millis(9));
        assert_eq!(watch.look(at(10)), Duration::from_millis(10));
        assert_eq!(watch.at(at(3000)), Duration::from_millis(25));
        assert_eq!(watch.at(at(5000)), Duration::from_millis(25), "and nothing more until the next look");
        assert_eq!(watch.look(at(5000)), Duration::from_millis(25));
        assert_eq!(watch.look(at(4999)), Duration::from_millis(25), "no time is ever taken back");
        assert_eq!(watch.look(at(5005)), Duration::from_millis(31));
    }

    #[test]
    fn a_tick_suits_the_deadline() {
        assert_eq!(tick(Duration::from_millis(100)), Duration::from_millis(10));
        assert_eq!(tick(Duration::from_secs(10)), Duration::from_millis(10));
        assert_eq!(tick(Duration::from_millis(20)), Duration::from_millis(2));
        assert_eq!(tick(Duration::from_micros(10)), Duration::from_millis(1));
    }

    #[tokio::test]
    async fn what_takes_too_long_is_given_up_and_what_has_come_is_taken() {
        let deadline = Duration::from_millis(30);
        assert_eq!(within(deadline, std::future::ready(1)).await, Some(1));
        assert_eq!(within(deadline, std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn a_thread_that_blocks_over_and_over_does_not_use_up_the_deadline() {
        // A task that never leaves the thread alone for longer than it takes to come back to it.
        let blocks = tokio::spawn(async {
            for _ in 0..30 {
                std::thread::sleep(Duration::from_millis(20));
                tokio::task::yield_now().await;
            }
        });
        // By the wall's clock it is over after two of them.
        assert_eq!(within(Duration::from_millis(400), blocks).await.map(|joined| joined.is_ok()), Some(true));
    }
}
