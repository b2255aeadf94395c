//! Who sends a request: from the connection's other end and the request's headers to one address.
//!
//! One source is configured, and never several in turn: a client could write the header that is read when another is
//! missing. And a header counts only if a trusted proxy sent it.

mod extractor;
mod forwarded;
mod networks;
mod node;
mod options;
#[cfg(test)]
mod oracle;
mod peer;
mod proxies;
mod resolver;
mod walk;

pub use extractor::ClientIp;
pub(super) use networks::networks;
pub(crate) use options::Options;
pub use peer::Peer;
pub(crate) use peer::PeerFn;
pub(in crate::http) use resolver::Found;
pub(crate) use resolver::Resolver;
