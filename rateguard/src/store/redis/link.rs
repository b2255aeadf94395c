//! The request's side of the connection: a queue to the task, and what is known of the server.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::connect::Settings;
use super::{Answer, Endpoint, Group, Job, connection};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;

/// Requests that wait for the server at most; more than that are answered by the failure policy at once.
const QUEUE: usize = 8192;

/// The store.
#[derive(Debug)]
pub(crate) struct RedisStore {
    settings: Box<Settings>,
    health: Arc<Health>,
    queue: RwLock<mpsc::Sender<Job>>,
}

/// What is known of the server.
#[derive(Debug)]
pub(super) struct Health {
    state: AtomicU8,
    reason: Mutex<Option<StoreError>>,
}

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

impl RedisStore {
    /// A store whose task starts here if there is a runtime, and else with the first check.
    pub(crate) fn new(endpoint: Endpoint, deadline: Duration, prefix: &str) -> RedisStore {
        let health = Arc::new(Health { state: AtomicU8::new(STARTING), reason: Mutex::new(None) });
        let (closed, _) = mpsc::channel(1);
        let settings = Box::new(Settings { endpoint, deadline, prefix: prefix.to_owned() });
        let store = RedisStore { settings, health, queue: RwLock::new(closed) };
        if let Ok(runtime) = current_runtime() {
            store.start(&runtime);
        }
        store
    }

    /// Asks for something to be done. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group) -> Result<Answer<Verdicts>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Group(group, reply))?;
        Ok(answer)
    }

    /// Asks whether the server answers.
    pub(crate) fn ping(&self) -> Result<Answer<()>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Ping(reply))?;
        Ok(answer)
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        // Whoever waits for the answer needs a timer.
        let runtime = current_runtime()?;
        let sent = {
            let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
            // A task that has ended with its runtime leaves the last word behind; a new one may do better.
            if let (false, Some(error)) = (queue.is_closed(), self.health.refusal()) {
                return Err(error);
            }
            queue.try_send(job)
        };
        match sent {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(overloaded()),
            Err(mpsc::error::TrySendError::Closed(job)) => self.start(&runtime).try_send(job).map_err(|_| overloaded()),
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

fn overloaded() -> StoreError {
    StoreError::new(StoreErrorKind::Overloaded, format!("{QUEUE} requests wait for the store already"))
}

fn current_runtime() -> Result<Handle, StoreError> {
    Handle::try_current().map_err(|_| {
        StoreError::new(StoreErrorKind::NoRuntime, "a check against Redis needs a Tokio runtime to run on")
    })
}
