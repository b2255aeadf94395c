//! Counts in Redis: one sorted set or log a key, one script call for all the checks that wait together.
//!
//! A request never touches the connection. It puts its checks into a queue and waits for the answer, for as long as
//! its deadline allows; a task owns the connection and answers the queue.

mod connect;
mod connection;
mod endpoint;
mod link;
mod pace;
mod reply;
mod script;

use smallvec::SmallVec;
use tokio::sync::oneshot;

pub(crate) use endpoint::Endpoint;
pub(crate) use link::RedisStore;
pub(crate) use script::{form, tag};

use super::Verdicts;
use crate::error::StoreError;
use crate::quota::Quota;

/// One check, as this store sees it.
#[derive(Debug)]
pub(crate) struct RedisCheck {
    pub(crate) key: String,
    pub(crate) quota: Quota,
    pub(crate) form: &'static str,
    pub(crate) cost: u32,
    /// Its refusal is none.
    pub(crate) shadow: bool,
}

/// What a request waits for.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T, StoreError>>;

/// What is to be done with a group of limits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Charge all of them, or none.
    Check,
    /// Say what a check would be answered.
    Peek,
    /// Give units back, against the receipt if there is one.
    Refund(Option<u64>),
    /// Forget them.
    Reset,
}

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) op: Op,
    pub(crate) checks: SmallVec<[RedisCheck; 1]>,
}

/// What a request asks of the task.
#[derive(Debug)]
enum Job {
    /// Do this; a check and a peek are answered with a verdict each, the others with none.
    Group(Group, oneshot::Sender<Result<Verdicts, StoreError>>),
    /// Is the server there?
    Ping(oneshot::Sender<Result<(), StoreError>>),
}

impl Job {
    fn group(&self) -> Option<&Group> {
        match self {
            Job::Group(group, _) => Some(group),
            Job::Ping(_) => None,
        }
    }

    /// Whether nobody waits for the answer any more, so that nothing needs to be done.
    fn is_abandoned(&self) -> bool {
        match self {
            Job::Group(_, reply) => reply.is_closed(),
            Job::Ping(reply) => reply.is_closed(),
        }
    }

    fn fail(self, error: StoreError) {
        // Whoever has gone meanwhile does not need the answer.
        let _ = match self {
            Job::Group(_, reply) => reply.send(Err(error)).is_ok(),
            Job::Ping(reply) => reply.send(Err(error)).is_ok(),
        };
    }
}
