//! The request's side of a connection: a queue to its task, and what is known of the server.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

#[cfg(feature = "cluster")]
use super::cluster::Member;
use super::connect::Settings;
use super::{Answer, Group, Job, connection};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;

/// Requests that wait for the server at most; more than that are answered by the failure policy at once.
pub(super) const QUEUE: usize = 8192;

/// The way to one server.
#[derive(Debug)]
pub(super) struct Link {
    settings: Box<Settings>,
    health: Arc<Health>,
    queue: RwLock<mpsc::Sender<Job>>,
}

/// What is known of the server.
#[derive(Debug)]
pub(super) struct Health {
    state: AtomicU8,
    reason: Mutex<Option<StoreError>>,
    #[cfg(feature = "cluster")]
    member: Option<Member>,
}

/// A job that could not be sent, and why.
pub(super) type Unsent = (Job, StoreError);

/// Not tried yet: checks wait for the outcome, within their deadline. Only ever so at the start.
const STARTING: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;

impl Health {
    pub(super) fn up(&self) {
        self.state.store(UP, Ordering::Release);
    }

    pub(super) fn down(&self, reason: &StoreError) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        self.state.store(DOWN, Ordering::Release);
        #[cfg(feature = "cluster")]
        if let Some(member) = &self.member {
            member.lost();
        }
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

impl Link {
    /// A link whose task starts here if there is a runtime, and else with the first check.
    pub(super) fn new(settings: Settings) -> Link {
        let health = Arc::new(Health {
            state: AtomicU8::new(STARTING),
            reason: Mutex::new(None),
            #[cfg(feature = "cluster")]
            member: settings.member.clone(),
        });
        let (closed, _) = mpsc::channel(1);
        let link = Link { settings: Box::new(settings), health, queue: RwLock::new(closed) };
        if let Ok(runtime) = current_runtime() {
            link.start(&runtime);
        }
        link
    }

    /// Asks for something to be done. An error if it is known that no answer would come.
    pub(super) fn ask(&self, group: Group) -> Result<Answer<Verdicts>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Group(group, reply)).map_err(|(_, error)| error)?;
        Ok(answer)
    }

    /// Asks whether the server answers.
    pub(super) fn ping(&self) -> Result<Answer<()>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Ping(reply)).map_err(|(_, error)| error)?;
        Ok(answer)
    }

    /// Whether the server is known not to answer.
    #[cfg(feature = "cluster")]
    pub(super) fn is_down(&self) -> bool {
        self.health.state.load(Ordering::Acquire) == DOWN
    }

    /// Puts a job into the queue.
    #[expect(clippy::result_large_err, reason = "what was handed in, so that it can be told")]
    pub(super) fn send(&self, job: Job) -> Result<(), Unsent> {
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
            runtime.spawn(connection::run((*self.settings).clone(), Arc::clone(&self.health), jobs));
            *queue = sender;
        }
        queue.clone()
    }
}

pub(super) fn overloaded() -> StoreError {
    StoreError::new(StoreErrorKind::Overloaded, format!("{QUEUE} requests wait for the store already"))
}

pub(super) fn current_runtime() -> Result<Handle, StoreError> {
    Handle::try_current().map_err(|_| {
        StoreError::new(StoreErrorKind::NoRuntime, "a check against Redis needs a Tokio runtime to run on")
    })
}
