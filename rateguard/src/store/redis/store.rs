//! The store: one server, or the servers of a cluster.

use std::fmt;
#[cfg(feature = "cluster")]
use std::sync::Arc;
use std::time::Duration;

use super::Link;
#[cfg(feature = "cluster")]
use super::cluster::Cluster;
use super::connect::Settings;
use super::{Answer, Endpoint, Group};
use crate::error::StoreError;
use crate::store::Verdicts;

/// Counts in Redis.
pub(crate) struct RedisStore(Servers);

enum Servers {
    One(Link),
    #[cfg(feature = "cluster")]
    Cluster(Arc<Cluster>),
}

/// Shows the address, and the state.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Servers::One(link) => link.fmt(f),
            #[cfg(feature = "cluster")]
            Servers::Cluster(cluster) => cluster.fmt(f),
        }
    }
}

impl RedisStore {
    /// A store whose tasks start here if there is a runtime, and else with the first check.
    pub(crate) fn new(endpoint: Endpoint, deadline: Duration, prefix: &str) -> RedisStore {
        #[cfg(feature = "cluster")]
        if endpoint.is_cluster() {
            return RedisStore(Servers::Cluster(Cluster::new(endpoint, deadline, prefix)));
        }
        let settings = Settings {
            endpoint,
            deadline,
            prefix: prefix.to_owned(),
            #[cfg(feature = "cluster")]
            member: None,
        };
        RedisStore(Servers::One(Link::new(settings)))
    }

    /// Asks for something to be done. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group) -> Result<Answer<Verdicts>, StoreError> {
        match &self.0 {
            Servers::One(link) => link.ask(group),
            #[cfg(feature = "cluster")]
            Servers::Cluster(cluster) => cluster.ask(group),
        }
    }

    /// Asks whether the server answers, or all of them.
    pub(crate) fn ping(&self) -> Result<Answer<()>, StoreError> {
        match &self.0 {
            Servers::One(link) => link.ping(),
            #[cfg(feature = "cluster")]
            Servers::Cluster(cluster) => cluster.ping(),
        }
    }
}
