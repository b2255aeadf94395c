//! Counts in Upstash's Redis, over its REST protocol: the same scripts, and one HTTP request for all checks that wait
//! together.
//!
//! The protocol: a command is a JSON array, posted with the token in the header `Authorization`; the answer is
//! `{"result": …}` or `{"error": "…"}`. HTTP/1 allows one request at a time on a connection, and a round trip over the
//! internet is long, so there are up to four connections. They are ours rather than an HTTP client's pool: a connection is
//! made before a check needs it, and a request is sent again only if nothing of it was sent.

mod client;
mod command;
mod connection;
mod endpoint;
mod reply;
mod service;

pub(crate) use endpoint::Endpoint;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::queue;
use service::Connector;

/// Upstash's service, and how it is asked.
pub(crate) struct Server {
    endpoint: Arc<Endpoint>,
    /// How long a call may take.
    deadline: Duration,
    /// What every key begins with.
    prefix: String,
}

impl Server {
    pub(super) fn new(endpoint: Arc<Endpoint>, deadline: Duration, prefix: &str) -> Server {
        Server { endpoint, deadline, prefix: prefix.to_owned() }
    }
}

/// Shows the address only.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.endpoint, f)
    }
}

impl queue::Server for Server {
    type Connector = Connector;

    fn connector(&self) -> Connector {
        Connector::new(Arc::clone(&self.endpoint), self.deadline, &self.prefix)
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}
