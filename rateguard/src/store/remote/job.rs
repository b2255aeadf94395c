//! What a request asks of the task that serves a store, and how it waits for the answer.
//!
//! The task alone decides that a server was silent. A request gives up by itself only if no runtime drives the task (the
//! runtime it was started on is blocked or idle), and only long after the deadline.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use pin_project_lite::pin_project;
use tokio::sync::oneshot;

use super::breaker::{Health, PATIENCE, Timer};
#[cfg(feature = "redis")]
use super::closing::Unfinished;
use super::closing::closed;
use super::script::{Group, GroupAnswer, Op, Script};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;

/// The most jobs that share a call.
pub(crate) const BATCH: usize = 64;
/// A timer that is noticed this much later than it was due shows that this request's own runtime stalled, not the task.
const LATE: Duration = Duration::from_millis(100);

/// What a request is told.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) result: Result<T, StoreError>,
    /// How long it waited for the store.
    pub(crate) waited: Duration,
}

/// The task's end of an answer.
pub(crate) type Reply<T> = oneshot::Sender<Answer<T>>;
/// The request's end of an answer.
pub(crate) type Receiver<T> = oneshot::Receiver<Answer<T>>;

/// What a request asks of the task.
#[derive(Debug)]
pub(crate) struct Job {
    ask: Ask,
    /// How much longer it may wait.
    pub(crate) left: Duration,
    /// How long it has waited so far, in other queues.
    waited: Duration,
    /// Held while the job exists, where jobs go from one task to another.
    #[cfg(feature = "redis")]
    unfinished: Option<Unfinished>,
}

/// The reply is gone once it was used.
#[derive(Debug)]
enum Ask {
    /// Decide this. A check and a peek are answered with a verdict for each limit, the others with no verdicts.
    Group(Group, Option<Reply<Verdicts>>),
    /// Does the server answer?
    Ping(Option<Reply<()>>),
}

impl Job {
    pub(crate) fn group(group: Group, left: Duration, reply: Reply<Verdicts>) -> Job {
        Job {
            ask: Ask::Group(group, Some(reply)),
            left,
            waited: Duration::ZERO,
            #[cfg(feature = "redis")]
            unfinished: None,
        }
    }

    pub(crate) fn ping(left: Duration, reply: Reply<()>) -> Job {
        Job {
            ask: Ask::Ping(Some(reply)),
            left,
            waited: Duration::ZERO,
            #[cfg(feature = "redis")]
            unfinished: None,
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn holding(self, unfinished: Unfinished) -> Job {
        Job { unfinished: Some(unfinished), ..self }
    }

    /// What the job holds, to be held by a task that goes on with it.
    #[cfg(feature = "redis")]
    pub(crate) fn unfinished(&self) -> Option<Unfinished> {
        self.unfinished.clone()
    }

    /// The group to decide; `None` for a ping.
    pub(crate) fn as_group(&self) -> Option<&Group> {
        match &self.ask {
            Ask::Group(group, _) => Some(group),
            Ask::Ping(_) => None,
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn as_group_mut(&mut self) -> Option<&mut Group> {
        match &mut self.ask {
            Ask::Group(group, _) => Some(group),
            Ask::Ping(_) => None,
        }
    }

    /// The group and its reply, unless it was answered already.
    #[cfg(feature = "redis")]
    pub(crate) fn into_group(self) -> Option<(Group, Reply<Verdicts>)> {
        match self.ask {
            Ask::Group(group, Some(reply)) => Some((group, reply)),
            _ => None,
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn into_ping(self) -> Option<Reply<()>> {
        match self.ask {
            Ask::Ping(reply) => reply,
            Ask::Group(..) => None,
        }
    }

    /// The script that decides the group; `None` for a ping.
    pub(crate) fn script(&self) -> Option<Script> {
        self.as_group().map(Script::of)
    }

    /// Whether the request no longer waits, so that the job can be dropped. Refunds and resets are never dropped.
    pub(crate) fn is_abandoned(&self) -> bool {
        match &self.ask {
            Ask::Group(group, _) if matches!(group.op, Op::Refund(_) | Op::Reset) => false,
            Ask::Group(_, reply) => reply.as_ref().is_none_or(oneshot::Sender::is_closed),
            Ask::Ping(reply) => reply.as_ref().is_none_or(oneshot::Sender::is_closed),
        }
    }

    /// Takes time that was waited off what is left.
    pub(crate) fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
        self.waited += waited;
    }

    /// Answers with an error, unless it was answered already.
    pub(crate) fn fail(&mut self, error: StoreError) {
        match self.ask {
            Ask::Group(_, ref mut reply) => send(reply, Err(error), self.waited),
            Ask::Ping(ref mut reply) => send(reply, Err(error), self.waited),
        }
    }

    /// The server has answered: answers a ping.
    pub(crate) fn pong(&mut self) {
        if let Ask::Ping(reply) = &mut self.ask {
            send(reply, Ok(()), self.waited);
        }
    }

    /// Answers a group. Returns `true` if the script has handed the group over undecided, so that it has to be sent again,
    /// and an error if the answer shows that this server is of no use.
    pub(crate) fn answer(&mut self, answer: GroupAnswer) -> Result<bool, StoreError> {
        let Ask::Group(group, reply) = &mut self.ask else { return Ok(false) };
        match answer {
            // A replica rejects the write inside the script. A new connection may find the master.
            Some(Err(error)) if error.kind() == StoreErrorKind::ReadOnly => {
                let error = error.outage();
                send(reply, Err(error.clone()), self.waited);
                Err(error)
            }
            Some(answer) => {
                send(reply, answer, self.waited);
                Ok(false)
            }
            None => {
                group.hand_over();
                Ok(true)
            }
        }
    }
}

fn send<T>(reply: &mut Option<Reply<T>>, result: Result<T, StoreError>, waited: Duration) {
    if let Some(reply) = reply.take() {
        // The caller may have been cancelled.
        let _ = reply.send(Answer { result, waited });
    }
}

pin_project! {
    /// Waits for an answer.
    #[derive(Debug)]
    pub(crate) struct Wait<T> {
        #[pin]
        answer: Receiver<T>,
        task: Arc<Health>,
        timer: Option<Timer>,
    }
}

impl<T> Wait<T> {
    /// `task` is the one that will answer.
    pub(crate) fn new(answer: Receiver<T>, task: Arc<Health>) -> Wait<T> {
        Wait { answer, task, timer: None }
    }

    /// The answer without the backstop.
    #[cfg(feature = "redis")]
    pub(crate) fn into_receiver(self) -> Receiver<T> {
        self.answer
    }
}

impl<T> Future for Wait<T> {
    type Output = Answer<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<T>> {
        let this = self.project();
        let failed = |error, waited| Poll::Ready(Answer { result: Err(error), waited });
        match this.answer.poll(cx) {
            Poll::Ready(Ok(answer)) => return Poll::Ready(answer),
            // The task ended with its runtime, or at the end of the deadline of `close`. It may have sent the call, so the call is not sent again.
            Poll::Ready(Err(_)) => {
                let error = if this.task.is_closed() { closed() } else { task_ended() };
                return failed(error, Duration::ZERO);
            }
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

/// The task that would answer has ended.
pub(crate) fn task_ended() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the connection's task has ended with its runtime")
}

fn stalled() -> StoreError {
    StoreError::new(
        StoreErrorKind::Stalled,
        "no runtime drives the connection's task: the runtime that it was started on is blocked or idle",
    )
}
