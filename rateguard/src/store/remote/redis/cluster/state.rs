//! What is known of a cluster's nodes.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::address::Address;
use super::node::Node;
use super::slots::Slots;
use crate::error::StoreError;
use crate::store::remote::backlog::{self, Waiting, overloaded};
use crate::store::remote::job::Job;
use crate::store::remote::queue::Unsent;
use crate::store::remote::stopwatch::{Stopwatch, tick};

/// How long a node is kept that was named in a redirect but has no slots.
const NEWCOMER: Duration = Duration::from_secs(60);
/// The most newcomers. Each has a task that tries to connect to it.
const NEWCOMERS: usize = 64;

#[derive(Debug)]
pub(super) enum State {
    /// The slot map is not known yet. Jobs wait for it, within their deadline.
    Starting(Mutex<Starting>),
    Known(Arc<Slots>),
    /// No node that was asked has answered with the slot map.
    Unreachable(StoreError),
    /// The limiter was closed. No other state follows.
    Closed,
}

/// Jobs that wait for the slot map.
#[derive(Debug)]
pub(super) struct Starting {
    jobs: Vec<Waiting>,
    stopwatch: Stopwatch,
}

impl State {
    pub(super) fn starting(deadline: Duration) -> State {
        State::Starting(Mutex::new(Starting { jobs: Vec::new(), stopwatch: Stopwatch::new(tick(deadline)) }))
    }

    pub(super) fn slots(&self) -> Option<&Arc<Slots>> {
        match self {
            State::Known(slots) => Some(slots),
            State::Starting(_) | State::Unreachable(_) | State::Closed => None,
        }
    }

    /// The jobs that have waited for the slot map, if this was the state in which they do.
    pub(super) fn into_jobs(self) -> Vec<Job> {
        let State::Starting(starting) = self else { return Vec::new() };
        let Starting { jobs, stopwatch } = starting.into_inner().unwrap_or_else(PoisonError::into_inner);
        let now = stopwatch.now();
        jobs.into_iter().map(|waiting| waiting.into_job(now)).collect()
    }
}

impl Starting {
    #[expect(clippy::result_large_err, reason = "the job comes back, so that it can be answered")]
    pub(super) fn push(&mut self, job: Job) -> Result<(), Unsent> {
        if self.jobs.len() == backlog::MOST {
            return Err((job, overloaded()));
        }
        let is_first = self.jobs.is_empty();
        let now = if is_first { self.stopwatch.look(Instant::now()) } else { self.stopwatch.now() };
        self.jobs.push(Waiting::new(job, now));
        Ok(())
    }

    /// Fails the jobs whose time is over.
    pub(super) fn expire(&mut self) {
        let now = self.stopwatch.look(Instant::now());
        self.jobs.retain_mut(|waiting| {
            let is_expired = waiting.is_expired(now);
            if is_expired {
                waiting.fail(now, &StoreError::timed_out());
            }
            !is_expired
        });
    }
}

/// Nodes that were named in redirects and have no slot in the map.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    nodes: Vec<(Instant, Arc<Node>)>,
    is_closed: bool,
}

impl Newcomers {
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().map(|(_, node)| node)
    }

    /// The node at this address, which `make` makes if it is new; `None` once they are closed. If there are too many, the one
    /// that was named longest ago is dropped.
    pub(super) fn get(&mut self, address: &Address, make: impl FnOnce() -> Arc<Node>) -> Option<Arc<Node>> {
        if self.is_closed {
            return None;
        }
        if let Some((seen, node)) = self.nodes.iter_mut().find(|(_, node)| node.address == *address) {
            *seen = Instant::now();
            return Some(Arc::clone(node));
        }
        if self.nodes.len() >= NEWCOMERS {
            let named_longest_ago = self.nodes.iter().enumerate().min_by_key(|(_, (seen, _))| *seen);
            if let Some((at, _)) = named_longest_ago {
                self.nodes.swap_remove(at);
            }
        }
        let node = make();
        self.nodes.push((Instant::now(), Arc::clone(&node)));
        Some(node)
    }

    /// Takes the nodes. There are no others from now on.
    pub(super) fn close(&mut self) -> Vec<Arc<Node>> {
        self.is_closed = true;
        mem::take(&mut self.nodes).into_iter().map(|(_, node)| node).collect()
    }

    /// Drops the nodes that were named long ago, and those that have slots now.
    pub(super) fn retain_without_slots(&mut self, slots: &Slots) {
        self.nodes.retain(|(seen, node)| seen.elapsed() < NEWCOMER && slots.node(&node.address).is_none());
    }
}
