//! The time that counts against a store.
//!
//! A deadline measures the store, never the program. A task that is not polled for a while, because a handler blocks its
//! thread, cannot know whether the answer has come in the meantime. Nor can a task that is polled before the runtime has
//! polled its sockets, which a busy runtime does only now and then. So while a job waits, the task that serves the store looks
//! at the time once a tick, and only after the runtime has polled its sockets and the tasks that read them. Of the time since
//! its last look, at most a tick and a half counts.

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
/// Turns of the runtime before a look counts: in the first it polls its sockets; in the second, the task that reads from
/// them, and was woken by that.
const TURNS: u8 = 2;

/// How often a task looks at the time that waits with this deadline.
pub(crate) fn tick(deadline: Duration) -> Duration {
    (deadline / 10).clamp(SHORTEST, LONGEST)
}

/// Counts the time in which its task and its runtime run.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    last: Instant,
    counted: Duration,
    /// The most that counts between two looks.
    most: Duration,
}

impl Stopwatch {
    /// For a task that looks at the time once a tick.
    pub(crate) fn new(tick: Duration) -> Stopwatch {
        Stopwatch { last: Instant::now(), counted: Duration::ZERO, most: tick * 3 / 2 }
    }

    /// The time counted so far.
    pub(crate) fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// The time counted up to `now`.
    pub(crate) fn at(&self, now: Instant) -> Duration {
        self.counted + now.saturating_duration_since(self.last).min(self.most)
    }

    /// Looks at the time: what has passed counts, and a new span begins.
    pub(crate) fn look(&mut self, now: Instant) -> Duration {
        self.counted = self.at(now);
        self.last = now;
        self.counted
    }
}

/// Ticks. Each ends with turns of the runtime.
#[derive(Debug)]
pub(crate) struct Ticks {
    tick: Duration,
    timer: Delay,
    /// Turns left in this tick; 0 while the timer runs.
    turns: u8,
    turned: Arc<Turned>,
}

/// Woken by the runtime when it has polled what was ready, and its sockets.
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
    /// Asks the runtime to wake this at the end of its turn, as it does for a task that yields. It uses its own waker, so that
    /// other wakes of the task are not mistaken for this one.
    fn begin(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let _ = pin!(yield_now()).poll(&mut Context::from_waker(&waker));
    }
}

impl Ticks {
    pub(crate) fn new(tick: Duration) -> Ticks {
        Ticks { tick, timer: Delay::new(tick), turns: 0, turned: Arc::default() }
    }

    /// Ready when a tick is over; then the next one begins.
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

/// The output of the future; `None` if it takes longer than the deadline, by a stopwatch. An output that is ready is always
/// taken.
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

/// The output of the future. Until it is ready, `go_on` is called once a tick; `None` once that returns `false`.
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
    fn without_a_look_at_most_a_tick_and_a_half_counts() {
        let mut watch = Stopwatch::new(Duration::from_millis(10));
        let start = watch.last;
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(watch.at(at(9)), Duration::from_millis(9));
        assert_eq!(watch.look(at(10)), Duration::from_millis(10));
        assert_eq!(watch.at(at(3000)), Duration::from_millis(25));
        assert_eq!(watch.at(at(5000)), Duration::from_millis(25), "and no more until the next look");
        assert_eq!(watch.look(at(5000)), Duration::from_millis(25));
        assert_eq!(watch.look(at(4999)), Duration::from_millis(25), "time never runs backwards");
        assert_eq!(watch.look(at(5005)), Duration::from_millis(31));
    }

    #[test]
    fn a_tick_is_a_tenth_of_the_deadline_within_bounds() {
        assert_eq!(tick(Duration::from_millis(100)), Duration::from_millis(10));
        assert_eq!(tick(Duration::from_secs(10)), Duration::from_millis(10));
        assert_eq!(tick(Duration::from_millis(20)), Duration::from_millis(2));
        assert_eq!(tick(Duration::from_micros(10)), Duration::from_millis(1));
    }

    #[tokio::test]
    async fn a_future_that_takes_too_long_is_given_up_and_a_ready_one_is_taken() {
        let deadline = Duration::from_millis(30);
        assert_eq!(within(deadline, std::future::ready(1)).await, Some(1));
        assert_eq!(within(deadline, std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn a_thread_that_blocks_again_and_again_does_not_use_up_the_deadline() {
        // A task that blocks the thread, yields, and blocks it again.
        let blocks = tokio::spawn(async {
            for _ in 0..30 {
                std::thread::sleep(Duration::from_millis(20));
                tokio::task::yield_now().await;
            }
        });
        // By the wall clock, the deadline has passed after twenty of the thirty.
        assert_eq!(within(Duration::from_millis(400), blocks).await.map(|joined| joined.is_ok()), Some(true));
    }
}
