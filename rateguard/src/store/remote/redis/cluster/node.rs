//! A node of a cluster, and what its connection knows of the other nodes.

use std::fmt;
use std::sync::Weak;

use redis::RedisError;

use super::address::Address;
use super::hash_slot::slot;
use super::redirect::Redirect;
use crate::error::StoreError;
use crate::store::remote::job::Job;
use crate::store::remote::queue::Queue;
use crate::store::remote::redis::dispatch::{Dispatch, ProbeTags};
use crate::store::remote::redis::server::Server;

/// A master. It has a queue, a connection and a circuit breaker of its own, so its failure does not affect other nodes.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) queue: Queue<Server<Member>>,
}

/// The cluster, as one of its nodes sees it.
pub(super) trait Peers: Send + Sync {
    /// The node cannot be reached. Another node may get its slots soon.
    fn lost(&self);

    /// Sends a job to where the redirect points.
    fn redirect(&self, job: Job, redirect: &Redirect);

    /// The node that has the slot of this key.
    fn owner(&self, key: &str) -> Option<Address>;

    /// Changes with every new slot map.
    fn topology(&self) -> u64;
}

/// The membership of a node in its cluster. It does not keep the cluster alive.
#[derive(Clone)]
pub(crate) struct Member {
    pub(super) peers: Weak<dyn Peers>,
    pub(super) address: Address,
}

impl Dispatch for Member {
    fn lost(&self) {
        if let Some(peers) = self.peers.upgrade() {
            peers.lost();
        }
    }

    fn is_redirect(&self, error: &RedisError) -> bool {
        Redirect::of(error, &self.address).is_some()
    }

    fn redirect(&self, jobs: Vec<Job>, error: &RedisError) {
        let redirect = match Redirect::of(error, &self.address) {
            // Redis 6.2 also answers this if only some of the keys are here, so each job has to be asked by itself.
            Some(Redirect::Ask(_)) if jobs.len() > 1 => Some(Redirect::TryAgain),
            redirect => redirect,
        };
        let peers = self.peers.upgrade();
        for mut job in jobs {
            match (&peers, &redirect) {
                (Some(peers), Some(redirect)) => peers.redirect(job, redirect),
                _ => job.fail(StoreError::other("the last handle to the store is gone")),
            }
        }
    }

    /// A text whose slot is one of this node's.
    fn probe_tag(&self) -> String {
        let peers = self.peers.upgrade();
        let owner = |tag: &str| peers.as_ref()?.owner(tag);
        let is_ours = |tag: &String| owner(tag).as_ref() == Some(&self.address);
        candidates().find(is_ours).unwrap_or_else(|| "probe".to_owned())
    }

    fn topology(&self) -> u64 {
        self.peers.upgrade().map_or(0, |peers| peers.topology())
    }

    /// `None` if the node has one slot or none, or all of them.
    fn probe_tags(&self) -> Option<ProbeTags> {
        let peers = self.peers.upgrade()?;
        let (mut own, mut foreign): (Vec<String>, Option<String>) = (Vec::new(), None);
        for tag in candidates() {
            match peers.owner(&tag) {
                Some(address) if address != self.address => foreign = foreign.or(Some(tag)),
                Some(_) if own.len() < 2 && own.last().is_none_or(|first| slot(first) != slot(&tag)) => own.push(tag),
                _ => {}
            }
            if own.len() == 2 && foreign.is_some() {
                break;
            }
        }
        Some(ProbeTags { own: own.try_into().ok()?, foreign: foreign? })
    }
}

/// Texts of many slots. A node with a hundredth of all slots almost certainly has one of these.
fn candidates() -> impl Iterator<Item = String> {
    (0..2000).map(|n| format!("probe{n}"))
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}
