//! Who sends a request: from the connection's other end and the request's headers to one address.
//!
//! One source is configured, never several in turn: a header that is read only where another is missing would be the
//! client's to write. And a header counts only when a trusted proxy sent it.

mod forwarded;
mod node;
mod options;
#[cfg(test)]
mod oracle;
mod peer;
mod proxies;
mod walk;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName};

pub(crate) use options::Options;
pub use peer::Peer;
pub(crate) use peer::PeerFn;
use proxies::TrustedProxies;

use crate::telemetry;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How a limiter finds a client's address, and what it met doing so.
#[derive(Debug, Default)]
pub(crate) struct ClientIp {
    source: Source,
    proxies: TrustedProxies,
    /// Where the program says how to find the peer.
    peer: Option<PeerFn>,
    /// How often a trusted proxy's header held no address where one was needed, so that the peer counted.
    unreadable: AtomicU64,
    /// How often another identity was missing, so that the address counted.
    identity_missing: AtomicU64,
}

/// What says who the client is, when a trusted proxy sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Source {
    /// Nothing but the connection.
    #[default]
    Peer,
    /// The list that each proxy appends its own peer to.
    XForwardedFor,
    /// The same in the grammar of RFC 7239.
    Forwarded,
    /// One address, which the proxy in front overwrites.
    Header(HeaderName),
}

/// There is no address where one was needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unreadable;

impl ClientIp {
    /// The client's address, an IPv4 address never in the form of an IPv6 one. What is of no use in the headers leaves
    /// the peer.
    ///
    /// Looks at no more than [`walk::LOOKED_AT`] bytes of the headers, and allocates nothing.
    pub(crate) fn address(&self, peer: impl Into<Peer>, headers: &HeaderMap) -> IpAddr {
        let peer = peer.into();
        let trusted = match peer {
            Peer::Ip(address) => self.proxies.trust(address.to_canonical()),
            Peer::Unix => self.proxies.trust_unix(),
        };
        let peer = peer.address();
        if !trusted {
            return peer;
        }
        let said = match &self.source {
            Source::Peer => Ok(None),
            Source::XForwardedFor => walk::client(&headers.get_all(X_FORWARDED_FOR), &self.proxies, node::address),
            Source::Forwarded => walk::client(&headers.get_all(FORWARDED), &self.proxies, forwarded::client),
            Source::Header(name) => walk::only(&headers.get_all(name)),
        };
        said.unwrap_or_else(|Unreadable| {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            telemetry::unreadable_header();
            None
        })
        .unwrap_or(peer)
    }

    /// How the program says to find the peer, if it does.
    pub(crate) fn own_peer(&self) -> Option<&PeerFn> {
        self.peer.as_ref()
    }

    /// Counts a request whose other identity was missing.
    pub(crate) fn identity_missing(&self) {
        self.identity_missing.fetch_add(1, Ordering::Relaxed);
        telemetry::identity_missing();
    }

    /// How many requests from trusted proxies were counted by the proxy's address, since the header held no address.
    #[cfg_attr(not(test), allow(dead_code, reason = "for the metrics"))]
    pub(crate) fn unreadable_count(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// How many identities were missing, so that the address was counted instead.
    #[cfg_attr(not(test), allow(dead_code, reason = "for the metrics"))]
    pub(crate) fn identity_missing_count(&self) -> u64 {
        self.identity_missing.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind_proxies(proxies: &[&str]) -> ClientIp {
        Options::default().trusted_proxies(proxies).build().unwrap()
    }

    fn headers(name: &'static str, lines: &[&[u8]]) -> HeaderMap {
        lines.iter().map(|line| (HeaderName::from_static(name), line.to_vec().try_into().unwrap())).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn without_trusted_proxies_no_header_is_read() {
        let client_ip = ClientIp::default();
        let headers = headers("x-forwarded-for", &[b"203.0.113.7"]);
        assert_eq!(client_ip.address(ip("10.0.0.1"), &headers), ip("10.0.0.1"));
        assert_eq!(client_ip.address(ip("::ffff:10.0.0.1"), &headers), ip("10.0.0.1"));
    }

    #[test]
    fn what_is_unreadable_leaves_the_peer_and_is_counted() {
        let client_ip = behind_proxies(&["10.0.0.0/8"]);
        for (nth, line) in
            [&b"unknown"[..], b"\xff\xfe", b"203.0.113.7, _gateway", b"1.2.3", b"\"203.0.113.7\""].iter().enumerate()
        {
            assert_eq!(client_ip.address(ip("10.0.0.1"), &headers("x-forwarded-for", &[line])), ip("10.0.0.1"));
            assert_eq!(client_ip.unreadable_count(), nth as u64 + 1);
        }
    }

    #[test]
    fn what_is_only_absent_leaves_the_peer_and_is_not_counted() {
        let client_ip = behind_proxies(&["10.0.0.0/8"]);
        for lines in [&[][..], &[&b""[..]], &[b" , ,", b","]] {
            assert_eq!(client_ip.address(ip("10.0.0.1"), &headers("x-forwarded-for", lines)), ip("10.0.0.1"));
        }
        assert_eq!(client_ip.unreadable_count(), 0);
    }

    #[test]
    fn a_unix_peer_is_this_machine_unless_it_is_trusted() {
        let sent = headers("x-forwarded-for", &[b"6.6.6.6, 203.0.113.7"]);
        for proxies in [&[][..], &["loopback", "private"]] {
            assert_eq!(behind_proxies(proxies).address(Peer::Unix, &sent), ip("127.0.0.1"));
        }
        let client_ip = behind_proxies(&["unix"]);
        assert_eq!(client_ip.address(Peer::Unix, &sent), ip("203.0.113.7"));
        assert_eq!(client_ip.address(Peer::Unix, &headers("x-forwarded-for", &[])), ip("127.0.0.1"));
        assert_eq!(client_ip.address(ip("127.0.0.1"), &sent), ip("127.0.0.1"), "trusts no address");
        assert_eq!(client_ip.unreadable_count(), 0);
    }

    #[test]
    fn what_a_stranger_sends_is_neither_read_nor_counted() {
        let client_ip = behind_proxies(&["10.0.0.0/8"]);
        let headers = headers("x-forwarded-for", &[b"unknown"]);
        assert_eq!(client_ip.address(ip("203.0.113.7"), &headers), ip("203.0.113.7"));
        assert_eq!(client_ip.unreadable_count(), 0);
    }
}
