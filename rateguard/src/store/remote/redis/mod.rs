//! Counts in Redis: a sorted set, a log or a few numbers for each key, and one script call for all checks that wait together.

mod batch;
mod cluster;
mod command;
mod connect;
mod connection;
mod dispatch;
mod endpoint;
mod error;
mod server;
#[cfg(feature = "tls")]
mod tls;
mod undeclared;
mod url;
mod window;

pub(crate) use cluster::Cluster;
pub(crate) use endpoint::Endpoint;
pub(crate) use server::SingleServer;
#[cfg(feature = "tls")]
pub(crate) use tls::Certificates;
pub(crate) use url::parse;
