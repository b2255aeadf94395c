//! The request's side of a store that servers share: a queue to the task that serves it, and what is known of the
//! server. A request never touches a connection.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::backlog::Queue;
use super::job::Job;
use super::script::Group;
use super::wait::{Backstop, Wait};
use super::worker::{Connector, supervise};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;

/// Requests that wait for the server at most; more than that are not sent.
pub(crate) const QUEUE: usize = 8192;
/// A task that does not look at its queue for so long although there is something in it is driven by nobody.
const NEGLECTED: Duration = Duration::from_secs(1);

/// Knows how to reach a server. Shown, it is the server's address and nothing secret.
pub(crate) trait Server: fmt::Debug + Send + Sync {
    type Connector: Connector;

    fn connector(&self) -> Self::Connector;

    /// How long a request waits at most.
    fn deadline(&self) -> Duration;
}

/// The way to one server.
pub(crate) struct Link<S> {
    server: Box<S>,
    task: RwLock<Task>,
}

/// The request's end of a task that serves the server.
#[derive(Clone, Debug)]
struct Task {
    queue: mpsc::Sender<Job>,
    health: Arc<Health>,
}

/// What is known of the server, and of the task.
pub(crate) struct Health {
    state: AtomicU8,
    reason: Mutex<Option<StoreError>>,
    started: Instant,
    /// When the task last looked at its queue, and when a job was last put into an empty one. In microseconds.
    looked: AtomicU64,
    filled: AtomicU64,
    /// When those who wait give the task up.
    pub(crate) backstop: Backstop,
}

/// A job that could not be sent, and why.
pub(crate) type Unsent = (Job, StoreError);

/// Not tried yet: checks wait for the outcome, within their deadline. Only ever so at the start.
const STARTING: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;

impl Health {
    pub(crate) fn new(deadline: Duration) -> Health {
        Health {
            state: AtomicU8::new(STARTING),
            reason: Mutex::new(None),
            started: Instant::now(),
            looked: AtomicU64::new(0),
            filled: AtomicU64::new(0),
            backstop: Backstop::new(deadline),
        }
    }

    pub(crate) fn up(&self) {
        self.state.store(UP, Ordering::Release);
    }

    pub(crate) fn down(&self, reason: &StoreError) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        self.state.store(DOWN, Ordering::Release);
    }

    /// The task looks at its queue.
    pub(crate) fn beat(&self, now: Instant) {
        self.looked.store(self.micros(now), Ordering::Relaxed);
    }

    /// Whether the task has looked at its queue lately.
    pub(crate) fn was_driven_within(&self, span: Duration) -> bool {
        let looked = self.looked.load(Ordering::Relaxed);
        let now = self.micros(Instant::now());
        looked > 0 && now.saturating_sub(looked) < u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
    }

    fn refusal(&self) -> Option<StoreError> {
        if self.state.load(Ordering::Acquire) != DOWN {
            return None;
        }
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }
}

impl Task {
    /// Whether there are jobs that nobody has looked at for a long time.
    fn is_neglected(&self) -> bool {
        let filled = self.health.filled.load(Ordering::Relaxed);
        self.queue.capacity() < QUEUE
            && self.health.looked.load(Ordering::Relaxed) < filled
            && self.health.micros(Instant::now()).saturating_sub(filled)
                > u64::try_from(NEGLECTED.as_micros()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::result_large_err, reason = "what was handed in, so that it can be told")]
    fn try_send(&self, job: Job) -> Result<(), mpsc::error::TrySendError<Job>> {
        if self.queue.capacity() == QUEUE {
            self.health.filled.store(self.health.micros(Instant::now()), Ordering::Relaxed);
        }
        self.queue.try_send(job)
    }
}

/// The server's address, and what is known of it.
impl<S: Server> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.task.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "{:?}, {:?}", self.server, task.health)
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.state.load(Ordering::Acquire), self.refusal()) {
            (STARTING, _) => f.write_str("connecting"),
            (_, Some(reason)) => write!(f, "down: {}", reason.kind().name()),
            (_, None) => f.write_str("connected"),
        }
    }
}

impl<S: Server> Link<S> {
    /// A link whose task starts here if there is a runtime, and else with the first check.
    pub(crate) fn new(server: S) -> Link<S> {
        let (closed, _) = mpsc::channel(1);
        let task = Task { queue: closed, health: Arc::new(Health::new(server.deadline())) };
        let link = Link { server: Box::new(server), task: RwLock::new(task) };
        if let Ok(runtime) = current_runtime() {
            link.start(&runtime);
        }
        link
    }

    /// Asks for something to be done, and waits for so long. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group, left: Duration) -> Result<Wait<Verdicts>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let task = self.send(Job::group(group, left, reply)).map_err(|(_, error)| error)?;
        Ok(Wait::new(answer, task))
    }

    /// Asks whether the server answers.
    pub(crate) fn ping(&self, left: Duration) -> Result<Wait<()>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let task = self.send(Job::ping(left, reply)).map_err(|(_, error)| error)?;
        Ok(Wait::new(answer, task))
    }

    /// Whether the server is known not to answer.
    #[cfg(feature = "redis")]
    pub(crate) fn is_down(&self) -> bool {
        self.task.read().unwrap_or_else(PoisonError::into_inner).health.state.load(Ordering::Acquire) == DOWN
    }

    /// Puts a job into the queue, and says whose queue that is.
    #[expect(clippy::result_large_err, reason = "what was handed in, so that it can be told")]
    pub(crate) fn send(&self, job: Job) -> Result<Arc<Health>, Unsent> {
        let sent = {
            let task = self.task.read().unwrap_or_else(PoisonError::into_inner);
            // A task that has ended with its runtime leaves the last word behind; a new one may do better.
            if let (false, Some(error)) = (task.queue.is_closed(), task.health.refusal()) {
                return Err((job, error));
            }
            if job.left.is_zero() {
                return Err((job, StoreError::timed_out()));
            }
            if task.is_neglected() {
                Err(mpsc::error::TrySendError::Closed(job))
            } else {
                task.try_send(job).map(|()| Arc::clone(&task.health))
            }
        };
        match sent {
            Ok(task) => Ok(task),
            Err(mpsc::error::TrySendError::Full(job)) => Err((job, overloaded())),
            Err(mpsc::error::TrySendError::Closed(job)) => match current_runtime() {
                Ok(runtime) => {
                    let task = self.start(&runtime);
                    match task.try_send(job) {
                        Ok(()) => Ok(task.health),
                        Err(unsent) => Err((unsent.into_inner(), overloaded())),
                    }
                }
                Err(error) => Err((job, error)),
            },
        }
    }

    /// Starts the task on this runtime, unless another request was quicker. One that nobody drives answers what it has, if
    /// ever it is driven again, and ends.
    fn start(&self, runtime: &Handle) -> Task {
        let mut task = self.task.write().unwrap_or_else(PoisonError::into_inner);
        if task.queue.is_closed() || task.is_neglected() {
            let (sender, jobs) = mpsc::channel(QUEUE);
            let health = Arc::new(Health::new(self.server.deadline()));
            let server = format!("{:?}", self.server);
            let queue = Queue::new(jobs, self.server.deadline(), Arc::clone(&health));
            runtime.spawn(supervise(self.server.connector(), server, Arc::clone(&health), queue));
            *task = Task { queue: sender, health };
        }
        task.clone()
    }
}

pub(crate) fn overloaded() -> StoreError {
    StoreError::new(StoreErrorKind::Overloaded, "more checks wait for the store than it can answer in time")
}

pub(crate) fn current_runtime() -> Result<Handle, StoreError> {
    Handle::try_current().map_err(|_| {
        StoreError::new(StoreErrorKind::NoRuntime, "a check against Redis needs a Tokio runtime to run on")
    })
}
