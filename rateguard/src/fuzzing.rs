//! What the fuzz targets reach of the library's inside. Compiled for them alone.

use std::net::IpAddr;

use axum::http::HeaderMap;

use crate::key::Key;
use crate::key_text::KeyWriter;
use crate::limiter::RateGuard;

/// The client's address, before it is cut to its network.
pub fn client_ip(limiter: &RateGuard, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    limiter.client_ip().address(peer, headers)
}

/// The key, as it is written down.
pub fn key_text(key: &Key) -> String {
    let mut text = String::new();
    KeyWriter::new(b"fuzzing").write(&mut text, key);
    text
}
