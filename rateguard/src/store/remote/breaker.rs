//! What requests know of a store's task: whether its server answers (the circuit breaker), and whether a runtime drives the
//! task at all.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::FutureExt;
use futures_util::future::Shared;

use crate::error::{StoreError, StoreErrorKind};

/// How much longer than the deadline a request waits for a task that says nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// A task that has not looked at its queue for this long, although there are jobs in it, is not driven by any runtime.
const NEGLECTED: Duration = Duration::from_secs(1);
/// Requests that begin to wait within this time share a timer.
const TIMER_SHARING: Duration = Duration::from_millis(250);

/// The server has not been tried yet: checks wait for the outcome, within their deadline. Only at the start.
const STARTING: u8 = 0;
/// The breaker is closed.
const UP: u8 = 1;
/// The breaker is open.
const DOWN: u8 = 2;

/// What is known of one server, and of the task that serves it.
pub(crate) struct Health {
    state: AtomicU8,
    /// Whether the limiter was closed, so that nothing is sent any more.
    is_closed: AtomicBool,
    reason: Mutex<Option<StoreError>>,
    started: Instant,
    /// When the task last looked at its queue, in microseconds since `started`.
    looked: AtomicU64,
    /// When a job was last put into an empty queue, in microseconds since `started`.
    filled: AtomicU64,
    pub(crate) backstop: Backstop,
}

impl Health {
    pub(crate) fn new(deadline: Duration) -> Health {
        Health {
            state: AtomicU8::new(STARTING),
            is_closed: AtomicBool::new(false),
            reason: Mutex::new(None),
            started: Instant::now(),
            looked: AtomicU64::new(0),
            filled: AtomicU64::new(0),
            backstop: Backstop::new(deadline),
        }
    }

    /// The server answers: the breaker closes.
    pub(crate) fn up(&self) {
        self.state.store(UP, Ordering::Release);
    }

    /// The server does not answer: the breaker opens.
    pub(crate) fn down(&self, reason: &StoreError) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        self.state.store(DOWN, Ordering::Release);
    }

    pub(crate) fn is_down(&self) -> bool {
        self.state.load(Ordering::Acquire) == DOWN
    }

    /// The limiter is closed. The task still finishes what it has.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Why nothing is sent; `None` unless the breaker is open.
    pub(crate) fn outage(&self) -> Option<StoreError> {
        if !self.is_down() {
            return None;
        }
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The task looks at its queue.
    pub(crate) fn looked(&self, now: Instant) {
        self.looked.store(self.micros(now), Ordering::Relaxed);
    }

    /// A job is put into an empty queue.
    pub(crate) fn filled(&self) {
        self.filled.store(self.micros(Instant::now()), Ordering::Relaxed);
    }

    /// Whether the task has looked at its queue lately.
    pub(crate) fn was_driven_within(&self, span: Duration) -> bool {
        let looked = self.looked.load(Ordering::Relaxed);
        looked > 0 && self.micros(Instant::now()).saturating_sub(looked) < micros(span)
    }

    /// Whether the jobs in the queue have waited for a long time without a look from the task.
    pub(crate) fn is_neglected(&self) -> bool {
        let filled = self.filled.load(Ordering::Relaxed);
        self.looked.load(Ordering::Relaxed) < filled
            && self.micros(Instant::now()).saturating_sub(filled) > micros(NEGLECTED)
    }

    fn micros(&self, now: Instant) -> u64 {
        micros(now.saturating_duration_since(self.started))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.state.load(Ordering::Acquire), self.outage()) {
            _ if self.is_closed() => f.write_str("closed"),
            (STARTING, _) => f.write_str("connecting"),
            (_, Some(reason)) => write!(f, "down: {}", reason.kind().as_str()),
            (_, None) => f.write_str("connected"),
        }
    }
}

/// The timers of the requests that wait for one task. They only matter when no runtime drives the task.
#[derive(Debug)]
pub(crate) struct Backstop {
    pub(crate) after: Duration,
    latest: Mutex<Option<Timer>>,
}

/// A timer that many requests share.
#[derive(Clone, Debug)]
pub(crate) struct Timer {
    pub(crate) due: Instant,
    pub(crate) fires: Shared<Delay>,
}

impl Backstop {
    fn new(deadline: Duration) -> Backstop {
        Backstop { after: deadline + PATIENCE, latest: Mutex::new(None) }
    }

    pub(crate) fn timer(&self) -> Timer {
        let now = Instant::now();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some(timer) if now + self.after <= timer.due => timer.clone(),
            _ => {
                let after = self.after + TIMER_SHARING;
                let timer = Timer { due: now + after, fires: Delay::new(after).shared() };
                latest.insert(timer).clone()
            }
        }
    }
}

impl StoreError {
    /// Marks the error as the reason of an outage, which is logged once and not for each check.
    pub(crate) fn outage(mut self) -> StoreError {
        self.of_outage = true;
        self
    }

    pub(crate) fn timed_out() -> StoreError {
        StoreError::new(StoreErrorKind::TimedOut, "no answer within the deadline")
    }

    /// Adds the client library's error. For errors of the connection only: what a server says is in the message, escaped.
    pub(crate) fn caused_by(mut self, source: Arc<dyn std::error::Error + Send + Sync>) -> StoreError {
        self.source = Some(source);
        self
    }

    /// A connection could not be made, or was lost; `detail` is what a library says.
    pub(crate) fn unreachable(detail: String) -> StoreError {
        // rustls reports its errors as errors of the connection.
        let is_tls = detail.contains("invalid peer certificate") || detail.contains("received fatal alert");
        StoreError::new(if is_tls { StoreErrorKind::Tls } else { StoreErrorKind::Unreachable }, detail)
    }
}
