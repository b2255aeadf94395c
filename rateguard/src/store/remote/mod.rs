//! Stores on servers, shared by all processes that use them.
//!
//! A request never touches a connection. It puts its checks into a queue and waits for the answer, within its deadline; a task
//! owns the connection, and decides all checks that wait together in one call.

mod backlog;
mod backoff;
mod breaker;
mod closing;
mod job;
mod queue;
#[cfg(feature = "redis")]
mod redis;
pub(crate) mod script;
mod stopwatch;
#[cfg(feature = "upstash")]
mod upstash;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use job::Wait;
pub(crate) use script::{Group, RemoteCheck};

#[cfg(feature = "tls")]
pub(crate) use self::redis::Certificates;
#[cfg(feature = "redis")]
use self::redis::{Cluster, SingleServer};
use crate::error::{ConfigError, StoreError};
use crate::store::Verdicts;
use queue::Queue;

/// Where a store's servers are, and how to log in.
#[derive(Clone)]
pub(crate) enum Endpoint {
    #[cfg(feature = "redis")]
    Redis(Box<self::redis::Endpoint>),
    #[cfg(feature = "upstash")]
    Upstash(Arc<upstash::Endpoint>),
}

impl Endpoint {
    /// Reads a URL that speaks Redis' protocol. An error never repeats any of it.
    #[cfg(feature = "redis")]
    pub(crate) fn redis(scheme: &str, rest: &str) -> Result<Endpoint, String> {
        self::redis::parse(scheme, rest).map(|endpoint| Endpoint::Redis(Box::new(endpoint)))
    }

    #[cfg(not(feature = "redis"))]
    pub(crate) fn redis(_: &str, _: &str) -> Result<Endpoint, String> {
        Err("this build has no Redis support: enable the feature \"redis\" of rateguard".to_owned())
    }

    /// Reads the URL of Upstash's REST protocol and its token. Each setting comes with the name that errors call it.
    #[cfg(feature = "upstash")]
    pub(crate) fn upstash(url: (&str, &str), token: (&str, &str)) -> Result<Endpoint, ConfigError> {
        upstash::Endpoint::parse(url, token).map(|endpoint| Endpoint::Upstash(endpoint.into()))
    }

    #[cfg(not(feature = "upstash"))]
    pub(crate) fn upstash((setting, _): (&str, &str), _: (&str, &str)) -> Result<Endpoint, ConfigError> {
        Err(ConfigError::unshown(
            setting,
            "this build has no Upstash support: enable the feature \"upstash\" of rateguard, or set REDIS_URL to the \
             database's rediss:// address",
        ))
    }

    /// With the certificates to trust and to show instead of the system's and none.
    #[cfg(feature = "tls")]
    pub(crate) fn with_certificates(self, certificates: &Certificates) -> Result<Endpoint, ConfigError> {
        match self {
            Endpoint::Redis(mut endpoint) => {
                certificates.apply(&mut endpoint)?;
                Ok(Endpoint::Redis(endpoint))
            }
            #[cfg(feature = "upstash")]
            Endpoint::Upstash(endpoint) => {
                certificates.are_unused()?;
                Ok(Endpoint::Upstash(endpoint))
            }
        }
    }
}

/// A store that answers later, or not at all.
pub(crate) enum RemoteStore {
    #[cfg(feature = "redis")]
    Redis(Queue<SingleServer>),
    #[cfg(feature = "redis")]
    Cluster(Arc<Cluster>),
    #[cfg(feature = "upstash")]
    Upstash(Queue<upstash::Server>),
}

impl RemoteStore {
    /// A store whose tasks start here if there is a runtime, and otherwise with the first check. Every key begins with
    /// `prefix`.
    pub(crate) fn new(endpoint: Endpoint, deadline: Duration, prefix: &str) -> RemoteStore {
        match endpoint {
            #[cfg(feature = "redis")]
            Endpoint::Redis(endpoint) if endpoint.is_cluster() => {
                RemoteStore::Cluster(Cluster::new(*endpoint, deadline, prefix))
            }
            #[cfg(feature = "redis")]
            Endpoint::Redis(endpoint) => RemoteStore::Redis(Queue::new(SingleServer::new(*endpoint, deadline, prefix))),
            #[cfg(feature = "upstash")]
            Endpoint::Upstash(endpoint) => {
                RemoteStore::Upstash(Queue::new(upstash::Server::new(endpoint, deadline, prefix)))
            }
        }
    }

    /// Sends a group, whose answer may take `left`. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group, left: Duration) -> Result<Wait<Verdicts>, StoreError> {
        match self {
            #[cfg(feature = "redis")]
            RemoteStore::Redis(queue) => queue.ask(group, left),
            #[cfg(feature = "redis")]
            RemoteStore::Cluster(cluster) => cluster.ask(group, left),
            #[cfg(feature = "upstash")]
            RemoteStore::Upstash(queue) => queue.ask(group, left),
        }
    }

    /// Asks whether the server answers; of a cluster, every node that has slots.
    pub(crate) fn ping(&self, left: Duration) -> Result<Wait<()>, StoreError> {
        match self {
            #[cfg(feature = "redis")]
            RemoteStore::Redis(queue) => queue.ping(left),
            #[cfg(feature = "redis")]
            RemoteStore::Cluster(cluster) => cluster.ping(left),
            #[cfg(feature = "upstash")]
            RemoteStore::Upstash(queue) => queue.ping(left),
        }
    }

    /// Answers what was asked so far, for at most the deadline, and then ends the tasks and closes the connections. What is
    /// asked from now on is an error.
    pub(crate) async fn close(&self) {
        match self {
            #[cfg(feature = "redis")]
            RemoteStore::Redis(queue) => queue.close().await,
            #[cfg(feature = "redis")]
            RemoteStore::Cluster(cluster) => cluster.close().await,
            #[cfg(feature = "upstash")]
            RemoteStore::Upstash(queue) => queue.close().await,
        }
    }

    /// Whether the limits of one request may be on several servers. Then some may be charged and given back.
    pub(crate) fn is_cluster(&self) -> bool {
        match self {
            #[cfg(feature = "redis")]
            RemoteStore::Cluster(_) => true,
            _ => false,
        }
    }
}

/// Shows the address and the state.
impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "redis")]
            RemoteStore::Redis(queue) => queue.fmt(f),
            #[cfg(feature = "redis")]
            RemoteStore::Cluster(cluster) => cluster.fmt(f),
            #[cfg(feature = "upstash")]
            RemoteStore::Upstash(queue) => queue.fmt(f),
        }
    }
}
