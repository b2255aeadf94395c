//! A node of a cluster, and what its connection's task knows of the cluster.

use std::fmt;
use std::sync::Weak;

use redis::RedisError;

use super::Cluster;
use super::redirect::Redirect;
use super::slots::slot;
use crate::error::StoreError;
use crate::store::remote::redis::Job;
use crate::store::remote::redis::Link;

/// How a node is called by the others, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A master: a queue, a connection and a circuit breaker of its own, so that what happens to it is no other's trouble.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) link: Link,
}

/// What a connection's task needs to know if its server is one of several. It does not keep the cluster alive.
#[derive(Clone)]
pub(crate) struct Member {
    pub(super) cluster: Weak<Cluster>,
    pub(crate) address: Address,
}

impl Member {
    /// The node cannot be reached. Another may have its slots soon.
    pub(crate) fn lost(&self) {
        if let Some(cluster) = self.cluster.upgrade() {
            cluster.learn(None);
        }
    }

    /// The server has answered that it did not do this, and who would.
    pub(crate) fn pass_on(&self, mut job: Job, redirect: &Redirect) {
        match self.cluster.upgrade() {
            Some(cluster) => cluster.redirect(job, redirect),
            None => job.fail(StoreError::other("the last handle is gone")),
        }
    }

    pub(crate) fn is_redirect(&self, error: &RedisError) -> bool {
        Redirect::of(error, &self.address).is_some()
    }

    /// What stands between a key's braces if its slot is one of this node's.
    pub(crate) fn tag(&self) -> String {
        let slots = self.cluster.upgrade().and_then(|cluster| cluster.slots());
        let owner = |tag: &str| slots.as_ref()?.owner(slot(tag)).map(|owner| &owner.address);
        let is_ours = |tag: &String| owner(tag) == Some(&self.address);
        // A node with a hundredth of the slots is found by then all but certainly; and one without any has no such key.
        (0..2000).map(|n| format!("probe{n}")).find(is_ours).unwrap_or_else(|| "probe".to_owned())
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}
