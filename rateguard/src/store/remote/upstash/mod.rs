//! Counts in Upstash's Redis, over its REST protocol: the same script, and one HTTP request for all the checks that wait
//! together.
//!
//! The protocol: a command is a JSON array, posted with the token in the header `Authorization`; the answer is
//! `{"result": …}` or `{"error": "…"}`. HTTP lets one request be under way on a connection, and a round trip over the
//! internet is long, so there are up to four connections. They are ours, each with its own task, instead of a client's
//! pool: a connection is made before a check needs it, and nothing is ever sent twice but what was not sent at all.

mod command;
mod connection;
mod endpoint;
mod reply;
mod service;

pub(crate) use endpoint::Endpoint;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::queue::{Link, Server};
use service::Connector;

/// The store.
pub(crate) type UpstashStore = Link<Settings>;

/// How the task reaches the service.
pub(crate) struct Settings {
    endpoint: Arc<Endpoint>,
    /// How long a call may take.
    deadline: Duration,
    /// What every key begins with.
    prefix: String,
}

impl Settings {
    pub(crate) fn new(endpoint: Arc<Endpoint>, deadline: Duration, prefix: &str) -> Settings {
        Settings { endpoint, deadline, prefix: prefix.to_owned() }
    }
}

/// Shows the address alone.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.endpoint, f)
    }
}

impl Server for Settings {
    type Connector = Connector;

    fn connector(&self) -> Connector {
        Connector::new(Arc::clone(&self.endpoint), self.deadline, &self.prefix)
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}
