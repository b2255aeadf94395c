//! The store: one server, or the servers of a cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Link;
use super::cluster::Cluster;
use super::connect::Settings;
use super::{Endpoint, Group};
use crate::error::StoreError;
use crate::store::Verdicts;
use crate::store::remote::wait::Wait;

/// Counts in Redis.
pub(crate) struct RedisStore(Servers);

enum Servers {
    One(Link),
    Cluster(Arc<Cluster>),
}

/// Shows the address, and the state.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Servers::One(link) => link.fmt(f),
            Servers::Cluster(cluster) => cluster.fmt(f),
        }
    }
}

impl RedisStore {
    /// A store whose tasks start here if there is a runtime, and else with the first check.
    pub(crate) fn new(endpoint: Endpoint, deadline: Duration, prefix: &str) -> RedisStore {
        if endpoint.is_cluster() {
            return RedisStore(Servers::Cluster(Cluster::new(endpoint, deadline, prefix)));
        }
        let settings = Settings { endpoint, deadline, prefix: prefix.to_owned(), member: None };
        RedisStore(Servers::One(Link::new(settings)))
    }

    /// Asks for something to be done. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group, left: Duration) -> Result<Wait<Verdicts>, StoreError> {
        match &self.0 {
            Servers::One(link) => link.ask(group, left),
            Servers::Cluster(cluster) => cluster.ask(group, left),
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.0, Servers::Cluster(_))
    }

    /// Asks whether the server answers, or all of them.
    pub(crate) fn ping(&self, left: Duration) -> Result<Wait<()>, StoreError> {
        match &self.0 {
            Servers::One(link) => link.ping(left),
            Servers::Cluster(cluster) => cluster.ping(left),
        }
    }
}
