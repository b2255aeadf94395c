//! One server: its address, and how it is asked.

use std::fmt;
use std::time::Duration;

use super::connect::Connector;
use super::dispatch::{Dispatch, Single};
use super::endpoint::Endpoint;
use crate::store::remote::queue;

/// A server, alone or as a node of a cluster.
#[derive(Clone)]
pub(crate) struct Server<D> {
    pub(super) endpoint: Endpoint,
    /// How long a call may take.
    pub(super) deadline: Duration,
    /// What every key begins with.
    pub(super) prefix: String,
    pub(super) dispatch: D,
}

/// A server that has all keys.
pub(crate) type SingleServer = Server<Single>;

impl SingleServer {
    pub(crate) fn new(endpoint: Endpoint, deadline: Duration, prefix: &str) -> SingleServer {
        Server { endpoint, deadline, prefix: prefix.to_owned(), dispatch: Single }
    }
}

impl<D: Dispatch> queue::Server for Server<D> {
    type Connector = Connector<D>;

    fn connector(&self) -> Connector<D> {
        Connector::new(self.endpoint.clone(), self.deadline, self.prefix.clone(), self.dispatch.clone())
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}

/// Shows the address only.
impl<D> fmt::Debug for Server<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.endpoint)
    }
}
