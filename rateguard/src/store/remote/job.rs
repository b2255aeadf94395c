//! What requests ask of the task that serves a store, and how they are told.

use std::time::Duration;

use tokio::sync::oneshot;

use super::script::call::Answered;
use super::script::{Group, Op, Script};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;

/// Requests that share a call at most.
pub(crate) const BATCH: usize = 64;

/// What a request is told.
#[derive(Debug)]
pub(crate) struct Told<T> {
    pub(crate) result: Result<T, StoreError>,
    /// How long it waited for the store.
    pub(crate) waited: Duration,
}

/// Where a request is told.
pub(crate) type Reply<T> = oneshot::Sender<Told<T>>;

/// What a request asks of the task.
#[derive(Debug)]
pub(crate) struct Job {
    ask: Ask,
    /// How long it may wait yet.
    pub(crate) left: Duration,
    /// How long it has waited so far, elsewhere.
    waited: Duration,
}

#[derive(Debug)]
enum Ask {
    /// Do this; a check and a peek are answered with a verdict each, the others with none.
    Group(Group, Option<Reply<Verdicts>>),
    /// Is the server there?
    Ping(Option<Reply<()>>),
}

impl Job {
    pub(crate) fn group(group: Group, left: Duration, reply: Reply<Verdicts>) -> Job {
        Job { ask: Ask::Group(group, Some(reply)), left, waited: Duration::ZERO }
    }

    pub(crate) fn ping(left: Duration, reply: Reply<()>) -> Job {
        Job { ask: Ask::Ping(Some(reply)), left, waited: Duration::ZERO }
    }

    /// What is to be done, if it is more than to answer.
    pub(crate) fn work(&self) -> Option<&Group> {
        match &self.ask {
            Ask::Group(group, _) => Some(group),
            Ask::Ping(_) => None,
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn work_mut(&mut self) -> Option<&mut Group> {
        match &mut self.ask {
            Ask::Group(group, _) => Some(group),
            Ask::Ping(_) => None,
        }
    }

    /// Takes it apart: the group and where its answer goes, if nothing was told yet.
    #[cfg(feature = "redis")]
    pub(crate) fn into_group(self) -> Option<(Group, Reply<Verdicts>)> {
        match self.ask {
            Ask::Group(group, Some(reply)) => Some((group, reply)),
            _ => None,
        }
    }

    /// Where the answer to a ping goes.
    #[cfg(feature = "redis")]
    pub(crate) fn into_ping(self) -> Option<Reply<()>> {
        match self.ask {
            Ask::Ping(reply) => reply,
            Ask::Group(..) => None,
        }
    }

    /// The script that is to decide it, if there is anything to decide.
    pub(crate) fn script(&self) -> Option<Script> {
        self.work().map(Group::script)
    }

    /// Whether nobody waits for the answer any more, so that nothing needs to be done. What is given back is given back
    /// all the same.
    pub(crate) fn is_abandoned(&self) -> bool {
        match &self.ask {
            Ask::Group(group, _) if matches!(group.op, Op::Refund(_) | Op::Reset) => false,
            Ask::Group(_, reply) => reply.as_ref().is_none_or(oneshot::Sender::is_closed),
            Ask::Ping(reply) => reply.as_ref().is_none_or(oneshot::Sender::is_closed),
        }
    }

    /// So much of its time is over.
    pub(crate) fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
        self.waited += waited;
    }

    /// Tells the request that it has failed, unless it was told something before.
    pub(crate) fn fail(&mut self, error: StoreError) {
        match self.ask {
            Ask::Group(_, ref mut reply) => send(reply, Err(error), self.waited),
            Ask::Ping(ref mut reply) => send(reply, Err(error), self.waited),
        }
    }

    /// The server has answered: who only asked whether it is there knows now.
    pub(crate) fn pong(&mut self) {
        if let Ask::Ping(reply) = &mut self.ask {
            send(reply, Ok(()), self.waited);
        }
    }

    /// Tells the request its own answer. One that the script has handed over, undone, is to be sent again: `true`. An
    /// answer may show that this is no server to ask: then that error comes back.
    pub(crate) fn tell(&mut self, answer: Answered) -> Result<bool, StoreError> {
        let Ask::Group(group, reply) = &mut self.ask else { return Ok(false) };
        match answer {
            // A replica refuses inside the script. Elsewhere there may be a server that does not.
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
        let _ = reply.send(Told { result, waited });
    }
}
