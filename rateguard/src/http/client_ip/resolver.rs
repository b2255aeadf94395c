//! The client's address, from the connection's other end and the request's headers.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::header::FORWARDED;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use super::node;
use super::peer::{self, Peer, PeerFn};
use super::proxies::TrustedProxies;
use super::{forwarded, walk};
use crate::http::grpc::Call;
use crate::http::setup_error::SetupError;
use crate::telemetry;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Finds a client's address, and counts what it met doing so.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    pub(super) source: Source,
    pub(super) proxies: TrustedProxies,
    /// How to find the peer, where the program says so.
    peer: Option<PeerFn>,
    /// How often a trusted proxy's header held no address where one was needed, so that the peer counted.
    unreadable: AtomicU64,
    /// How often another key was missing, so that the address counted.
    key_missing: AtomicU64,
}

/// What says who the client is, when a trusted proxy sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Source {
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

/// The address that counts for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Found {
    pub(in crate::http) address: IpAddr,
    /// Whether it is the proxy's, since what the proxy said about its client could not be read.
    pub(in crate::http) is_guess: bool,
}

impl Resolver {
    pub(super) fn new(source: Source, proxies: TrustedProxies, peer: Option<PeerFn>) -> Resolver {
        Resolver { source, proxies, peer, ..Resolver::default() }
    }

    /// The client's address, an IPv4 address never in the form of an IPv6 one. What is of no use in the headers leaves
    /// the peer.
    ///
    /// Looks at no more than [`walk::LOOKED_AT`] bytes of the headers, and allocates nothing.
    pub(in crate::http) fn find(&self, peer: impl Into<Peer>, headers: &HeaderMap) -> Found {
        let peer = peer.into();
        let trusted = match peer {
            Peer::Ip(address) => self.proxies.trust(address.to_canonical()),
            Peer::Unix => self.proxies.trust_unix(),
        };
        let peer = peer.address();
        if !trusted {
            return Found { address: peer, is_guess: false };
        }
        let said = match &self.source {
            Source::Peer => Ok(None),
            Source::XForwardedFor => walk::client(&headers.get_all(X_FORWARDED_FOR), &self.proxies, node::address),
            Source::Forwarded => walk::client(&headers.get_all(FORWARDED), &self.proxies, forwarded::client),
            Source::Header(name) => walk::only(&headers.get_all(name)),
        };
        if let Ok(said) = said {
            return Found { address: said.unwrap_or(peer), is_guess: false };
        }
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        telemetry::unreadable_header();
        Found { address: peer, is_guess: true }
    }

    /// The address alone.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn address(&self, peer: impl Into<Peer>, headers: &HeaderMap) -> IpAddr {
        self.find(peer, headers).address
    }

    /// The peer: as the program's own closure finds it, if there is one, or as `into_make_service_with_connect_info` left
    /// it.
    pub(in crate::http) fn peer(&self, head: &Parts) -> Result<Peer, SetupError> {
        if let Some(peer) = self.peer.as_ref().and_then(|own| own.find(&head.extensions)) {
            return Ok(peer);
        }
        let unknown = || SetupError::peer_unknown(self.peer.is_some(), Call::of(head).is_some());
        peer::connected(&head.extensions).ok_or_else(unknown)
    }

    /// Counts a request without the key that it should be counted by.
    pub(crate) fn key_missing(&self) {
        self.key_missing.fetch_add(1, Ordering::Relaxed);
        telemetry::identity_missing();
    }

    /// How many requests from trusted proxies were counted by the proxy's address, since the header held no address.
    #[cfg_attr(not(test), allow(dead_code, reason = "for the metrics"))]
    pub(crate) fn unreadable_count(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// How many keys were missing, so that the address was counted instead.
    #[cfg_attr(not(test), allow(dead_code, reason = "for the metrics"))]
    pub(crate) fn key_missing_count(&self) -> u64 {
        self.key_missing.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client_ip::Options;

    fn behind_proxies(proxies: &[&str]) -> Resolver {
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
        let client_ip = Resolver::default();
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
