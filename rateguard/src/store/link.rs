//! The request's side of a store that servers share: a queue to the task that serves it, and what is known of the
//! server. A request never touches a connection.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::Verdicts;
use super::job::Job;
use super::script::{Answer, Group};
use super::supervise::{Connector, supervise};
use crate::error::{StoreError, StoreErrorKind};

/// Requests that wait for the server at most; more than that are answered by the failure policy at once.
pub(crate) const QUEUE: usize = 8192;

/// Knows how to reach a server. Shown, it is the server's address and nothing secret.
pub(crate) trait Server: fmt::Debug + Send + Sync {
    type Connector: Connector;

    fn connector(&self) -> Self::Connector;
}

/// The way to one server.
pub(crate) struct Link<S> {
    server: Box<S>,
    health: Arc<Health>,
    queue: RwLock<mpsc::Sender<Job>>,
}

/// What is known of the server.
pub(crate) struct Health {
    state: AtomicU8,
    reason: Mutex<Option<StoreError>>,
}

/// A job that could not be sent, and why.
pub(crate) type Unsent = (Job, StoreError);

/// Not tried yet: checks wait for the outcome, within their deadline. Only ever so at the start.
const STARTING: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;

impl Health {
    pub(crate) fn up(&self) {
        self.state.store(UP, Ordering::Release);
    }

    pub(crate) fn down(&self, reason: &StoreError) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        self.state.store(DOWN, Ordering::Release);
    }

    fn restart(&self) {
        self.state.store(STARTING, Ordering::Release);
    }

    fn refusal(&self) -> Option<StoreError> {
        if self.state.load(Ordering::Acquire) != DOWN {
            return None;
        }
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The server's address, and what is known of it.
impl<S: Server> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.server, self.health)
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
        let health = Arc::new(Health { state: AtomicU8::new(STARTING), reason: Mutex::new(None) });
        let (closed, _) = mpsc::channel(1);
        let link = Link { server: Box::new(server), health, queue: RwLock::new(closed) };
        if let Ok(runtime) = current_runtime() {
            link.start(&runtime);
        }
        link
    }

    /// Asks for something to be done. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group) -> Result<Answer<Verdicts>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Group(group, reply)).map_err(|(_, error)| error)?;
        Ok(answer)
    }

    /// Asks whether the server answers.
    pub(crate) fn ping(&self) -> Result<Answer<()>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Ping(reply)).map_err(|(_, error)| error)?;
        Ok(answer)
    }

    /// Whether the server is known not to answer.
    #[cfg(feature = "cluster")]
    pub(crate) fn is_down(&self) -> bool {
        self.health.state.load(Ordering::Acquire) == DOWN
    }

    /// Puts a job into the queue.
    #[expect(clippy::result_large_err, reason = "what was handed in, so that it can be told")]
    pub(crate) fn send(&self, job: Job) -> Result<(), Unsent> {
        // Whoever waits for the answer needs a timer.
        let runtime = match current_runtime() {
            Ok(runtime) => runtime,
            Err(error) => return Err((job, error)),
        };
        let sent = {
            let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
            // A task that has ended with its runtime leaves the last word behind; a new one may do better.
            if let (false, Some(error)) = (queue.is_closed(), self.health.refusal()) {
                return Err((job, error));
            }
            queue.try_send(job)
        };
        match sent {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(job)) => Err((job, overloaded())),
            Err(mpsc::error::TrySendError::Closed(job)) => {
                self.start(&runtime).try_send(job).map_err(|unsent| (unsent.into_inner(), overloaded()))
            }
        }
    }

    /// Starts the task on this runtime, unless another request was quicker.
    fn start(&self, runtime: &Handle) -> mpsc::Sender<Job> {
        let mut queue = self.queue.write().unwrap_or_else(PoisonError::into_inner);
        if queue.is_closed() {
            let (sender, jobs) = mpsc::channel(QUEUE);
            self.health.restart();
            let server = format!("{:?}", self.server);
            runtime.spawn(supervise(self.server.connector(), server, Arc::clone(&self.health), jobs));
            *queue = sender;
        }
        queue.clone()
    }
}

pub(crate) fn overloaded() -> StoreError {
    StoreError::new(StoreErrorKind::Overloaded, format!("{QUEUE} requests wait for the store already"))
}

pub(crate) fn current_runtime() -> Result<Handle, StoreError> {
    Handle::try_current().map_err(|_| {
        StoreError::new(StoreErrorKind::NoRuntime, "a check against Redis needs a Tokio runtime to run on")
    })
}
