//! The jobs that wait at a server's task, and the only clock that decides that they have waited too long.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use tokio::sync::mpsc;

use super::breaker::Health;
use super::closing::Unfinished;
use super::job::Job;
use super::stopwatch::{Stopwatch, Ticks, tick};
use crate::error::{StoreError, StoreErrorKind};

/// The most jobs that wait for a server. Further jobs are not sent.
pub(crate) const MOST: usize = 8192;

/// The jobs of one server, at its task.
pub(crate) struct Backlog {
    jobs: mpsc::Receiver<Job>,
    waiting: VecDeque<Waiting>,
    stopwatch: Stopwatch,
    tick: Duration,
    /// Made when a job waits for the first time.
    ticks: Option<Ticks>,
    health: Arc<Health>,
    /// Whether the last handle to the store is gone, or the limiter was closed.
    has_ended: bool,
    /// Dropped when the task has ended.
    #[cfg_attr(not(feature = "upstash"), expect(dead_code, reason = "dropping it is its use"))]
    unfinished: Unfinished,
}

/// A job, and since when it has waited by the backlog's stopwatch.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) job: Job,
    since: Duration,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There are new jobs.
    Jobs,
    /// Time has passed.
    Tick,
    /// The last handle to the store is gone, or the limiter was closed; and no job waits.
    Ended,
}

impl Waiting {
    /// A job that waits from now on.
    pub(crate) fn new(job: Job, now: Duration) -> Waiting {
        Waiting { job, since: now }
    }

    fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    pub(crate) fn is_expired(&self, now: Duration) -> bool {
        self.age(now) >= self.job.left
    }

    /// Whether an answer that is expected to take this long would come too late. Half of the time is for waiting here, half
    /// for the answer.
    fn is_late(&self, now: Duration, expected: Duration) -> bool {
        let age = self.age(now);
        age * 2 > self.job.left || age + expected * 5 / 4 > self.job.left
    }

    /// The job, less the time that it has waited here.
    pub(crate) fn into_job(mut self, now: Duration) -> Job {
        let age = self.age(now);
        self.job.spend(age);
        self.job
    }

    pub(crate) fn fail(&mut self, now: Duration, error: &StoreError) {
        self.settle(now);
        self.job.fail(error.clone());
    }

    /// Takes the time that it has waited off what is left. Called before the job is answered.
    pub(crate) fn settle(&mut self, now: Duration) {
        let age = self.age(now);
        self.job.spend(age);
        self.since = now;
    }
}

impl Backlog {
    pub(crate) fn new(
        jobs: mpsc::Receiver<Job>,
        deadline: Duration,
        health: Arc<Health>,
        unfinished: Unfinished,
    ) -> Backlog {
        let tick = tick(deadline);
        Backlog {
            jobs,
            waiting: VecDeque::new(),
            stopwatch: Stopwatch::new(tick),
            tick,
            ticks: None,
            health,
            has_ended: false,
            unfinished,
        }
    }

    /// The time by which jobs wait.
    pub(crate) fn now(&self) -> Duration {
        self.stopwatch.now()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// To be held by what goes on when the task has ended.
    #[cfg(feature = "upstash")]
    pub(crate) fn unfinished(&self) -> Unfinished {
        self.unfinished.clone()
    }

    /// Waits until something happens. `busy` says that jobs which are no longer in here wait for an answer.
    pub(crate) async fn turn(&mut self, busy: bool) -> Turn {
        poll_fn(|cx| self.poll_turn(cx, busy)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, busy: bool) -> Poll<Turn> {
        let looked = Instant::now();
        self.health.looked(looked);
        if !busy && self.waiting.is_empty() {
            // No job has waited until now.
            self.stopwatch.look(looked);
        }
        let now = self.stopwatch.at(looked);
        let before = self.waiting.len();
        while self.waiting.len() < MOST && !self.has_ended {
            match self.jobs.poll_recv(cx) {
                Poll::Ready(Some(job)) => self.waiting.push_back(Waiting::new(job, now)),
                Poll::Ready(None) => self.has_ended = true,
                Poll::Pending => break,
            }
        }
        if self.waiting.len() > before {
            return Poll::Ready(Turn::Jobs);
        }
        if !busy && self.waiting.is_empty() {
            return if self.has_ended { Poll::Ready(Turn::Ended) } else { Poll::Pending };
        }
        let tick = self.tick;
        ready!(self.ticks.get_or_insert_with(|| Ticks::new(tick)).poll(cx));
        let now = self.stopwatch.look(Instant::now());
        self.expire(now);
        Poll::Ready(Turn::Tick)
    }

    /// Fails the jobs whose time is over.
    fn expire(&mut self, now: Duration) {
        if self.waiting.iter().any(|waiting| waiting.is_expired(now)) {
            for mut waiting in std::mem::take(&mut self.waiting) {
                if waiting.is_expired(now) {
                    waiting.fail(now, &StoreError::timed_out());
                } else {
                    self.waiting.push_back(waiting);
                }
            }
        }
    }

    /// Takes up to `most` jobs from the front. Abandoned jobs are dropped. `expected` is how long an answer takes, if that is
    /// known: a job for which it would come too late fails at once, as the store is overloaded.
    pub(crate) fn take(&mut self, most: usize, expected: Option<Duration>) -> Vec<Waiting> {
        let now = self.stopwatch.now();
        let mut taken = Vec::with_capacity(most.min(self.waiting.len()));
        while taken.len() < most {
            let Some(mut waiting) = self.waiting.pop_front() else { break };
            if waiting.job.is_abandoned() {
                continue;
            }
            if expected.is_some_and(|expected| waiting.is_late(now, expected)) {
                waiting.fail(now, &overloaded());
            } else {
                taken.push(waiting);
            }
        }
        taken
    }

    /// Puts back jobs that were taken and not sent.
    #[cfg(feature = "upstash")]
    pub(crate) fn put_back(&mut self, jobs: Vec<Job>) {
        let now = self.stopwatch.now();
        for job in jobs.into_iter().rev() {
            self.waiting.push_front(Waiting::new(job, now));
        }
    }

    /// Fails all jobs: the server is lost.
    pub(crate) fn fail(&mut self, error: &StoreError) {
        let now = self.stopwatch.now();
        for waiting in &mut self.waiting {
            waiting.fail(now, error);
        }
        self.waiting.clear();
    }

    /// Waits for the future. Meanwhile new jobs wait, and expire. `None` if the backlog ends first.
    pub(crate) async fn while_waiting<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            loop {
                match self.poll_turn(cx, false) {
                    Poll::Ready(Turn::Ended) => return Poll::Ready(None),
                    Poll::Ready(Turn::Jobs | Turn::Tick) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Waits before the next attempt to connect; jobs that come meanwhile fail. `None` if the backlog ends first.
    pub(crate) async fn pause(&mut self, pause: Duration, reason: &StoreError) -> Option<()> {
        let mut pause = Delay::new(pause);
        poll_fn(|cx| {
            loop {
                if pin!(&mut pause).poll(cx).is_ready() {
                    return Poll::Ready(Some(()));
                }
                match self.poll_turn(cx, false) {
                    Poll::Ready(Turn::Ended) => return Poll::Ready(None),
                    Poll::Ready(Turn::Jobs | Turn::Tick) => self.fail(reason),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}

pub(crate) fn overloaded() -> StoreError {
    StoreError::new(StoreErrorKind::Overloaded, "more checks wait for the store than it can answer in time")
}
