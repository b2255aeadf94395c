//! What requests ask of the task that serves a store, and how they are told.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::script::call::Answered;
use super::script::{Group, Reply, Script};
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

    /// The script that is to decide it, if there is anything to decide.
    pub(crate) fn script(&self) -> Option<Script> {
        self.group().map(Group::script)
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

/// Tells every request of a batch its own answer; those who only asked whether the server is there know now. What was
/// handed over stays. One of the answers may show that this is no server to ask: then that error comes back.
pub(crate) fn tell(batch: &mut Vec<Job>, answers: Vec<Answered>) -> Option<StoreError> {
    // A replica refuses inside the script. Elsewhere there may be a server that does not.
    let mut useless = None;
    let mut answers = answers.into_iter();
    let mut handed_over = Vec::new();
    for job in batch.drain(..) {
        // Whoever has gone meanwhile does not need the answer.
        let _ = match job {
            Job::Ping(reply) => reply.send(Ok(())).is_ok(),
            Job::Group(mut group, reply) => match answers.next() {
                Some(Some(Err(error))) if error.kind() == StoreErrorKind::ReadOnly => {
                    reply.send(Err(useless.insert(error.outage()).clone())).is_ok()
                }
                Some(Some(answer)) => reply.send(answer).is_ok(),
                Some(None) => {
                    group.hand_over();
                    handed_over.push(Job::Group(group, reply));
                    true
                }
                // There is an answer to every group.
                None => false,
            },
        };
    }
    *batch = handed_over;
    useless
}

/// Puts together what one script decides, the quicker one first; and says how many, from the first on, are one call.
pub(crate) fn share(batch: &mut [Job]) -> usize {
    batch.sort_by_key(Job::script);
    // Those who only ask whether the server is there go with any.
    let first = batch.iter().find_map(Job::script);
    batch.partition_point(|job| job.script() <= first)
}

/// Tells so many, from the first on, their answers. The rest stays, and what was handed over.
pub(crate) fn tell_first(batch: &mut Vec<Job>, share: usize, answers: Vec<Answered>) -> Option<StoreError> {
    let mut rest = batch.split_off(share.min(batch.len()));
    let useless = tell(batch, answers);
    batch.append(&mut rest);
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
