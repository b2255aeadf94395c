//! A request's side of an answer: it waits for what the store's task says, and for nothing else.
//!
//! The task alone decides that a server was silent. Only if nobody drives the task, since it is on another runtime that is
//! blocked or idle, does a request give up by itself: by a backstop, long after the deadline, of which many requests share
//! one timer.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::FutureExt;
use futures_util::future::Shared;
use pin_project_lite::pin_project;
use tokio::sync::oneshot;

use super::job::Told;
use super::queue::Health;
use crate::error::{StoreError, StoreErrorKind};

/// How much longer than the deadline a request waits for a task that says nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// Requests that begin to wait within so much time share a timer.
const SHARED: Duration = Duration::from_millis(250);
/// A timer that is noticed so much later than it fired tells of our own stall, and not of the task's.
const LATE: Duration = Duration::from_millis(100);

/// Where a request's answer comes from.
pub(crate) type Answer<T> = oneshot::Receiver<Told<T>>;

/// The timers of the requests that wait for one task.
#[derive(Debug)]
pub(crate) struct Backstop {
    after: Duration,
    latest: Mutex<Option<Timer>>,
}

#[derive(Clone, Debug)]
struct Timer {
    due: Instant,
    fires: Shared<Delay>,
}

impl Backstop {
    /// For requests that wait for that long.
    pub(crate) fn new(deadline: Duration) -> Backstop {
        Backstop { after: deadline + PATIENCE, latest: Mutex::new(None) }
    }

    fn timer(&self) -> Timer {
        let now = Instant::now();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some(timer) if now + self.after <= timer.due => timer.clone(),
            _ => {
                let after = self.after + SHARED;
                let timer = Timer { due: now + after, fires: Delay::new(after).shared() };
                latest.insert(timer).clone()
            }
        }
    }
}

pin_project! {
    /// Waits for an answer.
    #[derive(Debug)]
    pub(crate) struct Wait<T> {
        #[pin]
        answer: Answer<T>,
        task: Arc<Health>,
        timer: Option<Timer>,
    }
}

impl<T> Wait<T> {
    /// For what this task will say.
    pub(crate) fn new(answer: Answer<T>, task: Arc<Health>) -> Wait<T> {
        Wait { answer, task, timer: None }
    }

    /// Only the answer, for a task that has no patience of its own.
    #[cfg(feature = "redis")]
    pub(crate) fn into_answer(self) -> Answer<T> {
        self.answer
    }
}

impl<T> Future for Wait<T> {
    type Output = Told<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Told<T>> {
        let this = self.project();
        let failed = |error, waited| Poll::Ready(Told { result: Err(error), waited });
        match this.answer.poll(cx) {
            Poll::Ready(Ok(told)) => return Poll::Ready(told),
            // The task went away with its runtime; it may have sent the call, so it is not sent again.
            Poll::Ready(Err(_)) => return failed(task_ended(), Duration::ZERO),
            Poll::Pending => {}
        }
        loop {
            let timer = this.timer.get_or_insert_with(|| this.task.backstop.timer());
            if timer.fires.poll_unpin(cx).is_pending() {
                return Poll::Pending;
            }
            if timer.due.elapsed() < LATE && !this.task.was_driven_within(PATIENCE) {
                return failed(stalled(), this.task.backstop.after);
            }
            *this.timer = None;
        }
    }
}

fn task_ended() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the connection's task has ended with its runtime")
}

fn stalled() -> StoreError {
    StoreError::new(
        StoreErrorKind::Stalled,
        "nobody drives the connection's task: the runtime that it was started on is blocked or idle",
    )
}
