//! Counts in Redis: one sorted set or log a key, one script call for all the checks that wait together.
//!
//! A request never touches the connection. It puts its checks into a queue and waits for the answer, for as long as
//! its deadline allows; a task owns the connection and answers the queue.

mod calls;
mod cluster;
mod command;
mod connect;
mod connection;
mod endpoint;
mod reply;
mod store;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod url;
mod window;

pub(crate) use cluster::Address;
pub(crate) use endpoint::Endpoint;
pub(crate) use store::RedisStore;

use crate::store::remote::job::Job;
use crate::store::remote::script::Group;
use crate::store::remote::script::{Op, RedisCheck};

/// The way to one server.
type Link = super::queue::Link<connect::Settings>;
