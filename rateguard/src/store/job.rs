//! What requests ask of the task that serves a store, and how they are told.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::Verdicts;
use super::script::{Group, Reply};
use crate::error::{StoreError, StoreErrorKind};

/// Requests that share a call at most.
pub(crate) const BATCH: usize = 64;

/// What a request asks of the task.
#[derive(Debug)]
pub(crate) enum Job {
    /// Do this; a check and a peek are answered with a verdict each, the others with none.
    Group(Group, Reply),
    /// Is the server there?
    Ping(oneshot::Sender<Result<(), StoreError>>),
}

impl Job {
    pub(crate) fn group(&self) -> Option<&Group> {
        match self {
            Job::Group(group, _) => Some(group),
            Job::Ping(_) => None,
        }
    }

    /// Whether nobody waits for the answer any more, so that nothing needs to be done.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Job::Group(_, reply) => reply.is_closed(),
            Job::Ping(reply) => reply.is_closed(),
        }
    }

    pub(crate) fn fail(self, error: StoreError) {
        // Whoever has gone meanwhile does not need the answer.
        let _ = match self {
            Job::Group(_, reply) => reply.send(Err(error)).is_ok(),
            Job::Ping(reply) => reply.send(Err(error)).is_ok(),
        };
    }
}

/// Tells every request of a batch that it has failed.
pub(crate) fn fail(batch: &mut Vec<Job>, error: &StoreError) {
    for job in batch.drain(..) {
        job.fail(error.clone());
    }
}

/// Tells every request of a batch its own answer; those who only asked whether the server is there know now. One of the
/// answers may show that this is no server to ask: then that error comes back.
pub(crate) fn tell(batch: &mut Vec<Job>, answers: Vec<Result<Verdicts, StoreError>>) -> Option<StoreError> {
    // A replica refuses inside the script. Elsewhere there may be a server that does not.
    let mut useless = None;
    let mut answers = answers.into_iter().map(|answer| match answer {
        Err(error) if error.kind() == StoreErrorKind::ReadOnly => Err(useless.insert(error.outage()).clone()),
        answer => answer,
    });
    for job in batch.drain(..) {
        // Whoever has gone meanwhile does not need the answer.
        let _ = match job {
            Job::Group(_, reply) => answers.next().map(|answer| reply.send(answer).is_ok()),
            Job::Ping(reply) => Some(reply.send(Ok(())).is_ok()),
        };
    }
    drop(answers);
    useless
}

/// Waits before the next attempt; whoever asks meanwhile is told why. `None` once the last handle is gone.
pub(crate) async fn wait(jobs: &mut mpsc::Receiver<Job>, reason: &StoreError, pause: Duration) -> Option<()> {
    let pause = sleep(pause);
    tokio::pin!(pause);
    loop {
        tokio::select! {
            () = &mut pause => return Some(()),
            job = jobs.recv() => job?.fail(reason.clone()),
        }
    }
}
