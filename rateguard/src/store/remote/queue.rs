//! The request's end of a store: a queue to the task that serves it. A request never touches a connection.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::backlog::{self, Backlog, overloaded};
use super::breaker::Health;
use super::closing::{Finished, closed, unfinished};
use super::job::{Job, Wait};
use super::script::Group;
use super::worker::{self, Connector};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;

/// A server, and how to reach it. `Debug` shows its address and no secret.
pub(crate) trait Server: fmt::Debug + Send + Sync {
    type Connector: Connector;

    fn connector(&self) -> Self::Connector;

    /// How long a request waits at most.
    fn deadline(&self) -> Duration;
}

/// The queue of one server.
pub(crate) struct Queue<S> {
    server: Box<S>,
    task: RwLock<Task>,
}

/// How long `close` waits for a task that it has aborted. It does not run while other tasks block its runtime.
const ABORT: Duration = Duration::from_millis(100);

/// The request's end of a task.
#[derive(Clone, Debug)]
struct Task {
    jobs: mpsc::Sender<Job>,
    health: Arc<Health>,
    /// Tells when the task has ended.
    ended: Finished,
    /// `None` before the first task.
    abort: Option<AbortHandle>,
}

/// A job that could not be sent, and why.
pub(crate) type Unsent = (Job, StoreError);

impl Task {
    /// Whether there are jobs that the task has not looked at for a long time.
    fn is_neglected(&self) -> bool {
        self.jobs.capacity() < backlog::MOST && self.health.is_neglected()
    }

    #[expect(clippy::result_large_err, reason = "the job comes back, so that it can be answered")]
    fn try_send(&self, job: Job) -> Result<(), TrySendError<Job>> {
        if self.jobs.capacity() == backlog::MOST {
            self.health.filled();
        }
        self.jobs.try_send(job)
    }
}

/// Shows the server's address and state.
impl<S: Server> fmt::Debug for Queue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.task.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "{:?}, {:?}", self.server, task.health)
    }
}

impl<S: Server> Queue<S> {
    /// A queue whose task starts here if there is a runtime, and otherwise with the first job.
    pub(crate) fn new(server: S) -> Queue<S> {
        let (_, ended) = unfinished();
        let health = Arc::new(Health::new(server.deadline()));
        let task = Task { jobs: no_receiver(), health, ended, abort: None };
        let queue = Queue { server: Box::new(server), task: RwLock::new(task) };
        if let Ok(runtime) = current_runtime() {
            queue.start(&runtime);
        }
        queue
    }

    /// Sends a group, whose answer may take `left`. An error if it is known that no answer would come.
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

    /// Whether the breaker is open.
    #[cfg(feature = "redis")]
    pub(crate) fn is_down(&self) -> bool {
        self.task.read().unwrap_or_else(PoisonError::into_inner).health.is_down()
    }

    /// Sends a job. Returns the state of the task that it was sent to.
    #[expect(clippy::result_large_err, reason = "the job comes back, so that it can be answered")]
    pub(crate) fn send(&self, job: Job) -> Result<Arc<Health>, Unsent> {
        let sent = {
            let task = self.task.read().unwrap_or_else(PoisonError::into_inner);
            if task.health.is_closed() {
                return Err((job, closed()));
            }
            // The reason of a task that has ended with its runtime is out of date; a new task may reach the server.
            if let (false, Some(error)) = (task.jobs.is_closed(), task.health.outage()) {
                return Err((job, error));
            }
            if job.left.is_zero() {
                return Err((job, StoreError::timed_out()));
            }
            if task.is_neglected() {
                Err(TrySendError::Closed(job))
            } else {
                task.try_send(job).map(|()| Arc::clone(&task.health))
            }
        };
        match sent {
            Ok(task) => Ok(task),
            Err(TrySendError::Full(job)) => Err((job, overloaded())),
            Err(TrySendError::Closed(job)) => match current_runtime() {
                Ok(runtime) => {
                    let task = self.start(&runtime);
                    match task.try_send(job) {
                        Ok(()) => Ok(task.health),
                        Err(unsent) if task.health.is_closed() => Err((unsent.into_inner(), closed())),
                        Err(unsent) => Err((unsent.into_inner(), overloaded())),
                    }
                }
                Err(error) => Err((job, error)),
            },
        }
    }

    /// Answers the jobs that were sent so far, for at most the deadline, and then ends the task.
    pub(crate) async fn close(&self) {
        self.close_within(self.server.deadline()).await;
    }

    pub(crate) async fn close_within(&self, deadline: Duration) {
        let (ended, abort) = {
            let mut task = self.task.write().unwrap_or_else(PoisonError::into_inner);
            task.health.close();
            // Without a sender, the task ends when it has answered the jobs.
            task.jobs = no_receiver();
            (task.ended.clone(), task.abort.clone())
        };
        if ended.clone().within(deadline).await {
            return;
        }
        if let Some(abort) = abort {
            abort.abort();
            ended.within(ABORT).await;
        }
    }

    /// Starts a task on this runtime, unless another request was quicker or the limiter is closed. A neglected task answers its jobs, if a runtime
    /// ever drives it again, and ends.
    fn start(&self, runtime: &Handle) -> Task {
        let mut task = self.task.write().unwrap_or_else(PoisonError::into_inner);
        if !task.health.is_closed() && (task.jobs.is_closed() || task.is_neglected()) {
            let (sender, jobs) = mpsc::channel(backlog::MOST);
            let health = Arc::new(Health::new(self.server.deadline()));
            let name = format!("{:?}", self.server);
            let (unfinished, ended) = unfinished();
            let backlog = Backlog::new(jobs, self.server.deadline(), Arc::clone(&health), unfinished);
            let run = worker::run(self.server.connector(), name, Arc::clone(&health), backlog);
            let abort = Some(runtime.spawn(run).abort_handle());
            *task = Task { jobs: sender, health, ended, abort };
        }
        task.clone()
    }
}

/// A sender to which nothing can be sent.
fn no_receiver() -> mpsc::Sender<Job> {
    mpsc::channel(1).0
}

pub(crate) fn current_runtime() -> Result<Handle, StoreError> {
    Handle::try_current().map_err(|_| {
        StoreError::new(StoreErrorKind::NoRuntime, "a check against Redis needs a Tokio runtime to run on")
    })
}
