//! What the attribute writes: limits as constants, without closures that live on the heap.

use axum::http::request::Parts;
use axum::response::Response;

use super::exempt::Exempt;
use super::key_by::{KeyBy, List, Source};
use super::limit::{HttpLimit, RefundIf};
use super::setting::{Callback, Setting};
use crate::key::Key;
use crate::key::parts::Kind;
use crate::policy::Policy;
use crate::quota::Quota;

pub use ipnet::IpNet as Network;

/// A limit. The last argument says whether its policy is named after the handler.
#[expect(
    clippy::too_many_arguments,
    reason = "a constant cannot be built step by step: it would drop what it replaces"
)]
pub const fn limit(
    policy: Policy,
    key: KeyBy,
    quota: Option<Setting<Option<Quota>>>,
    cost: Setting<u32>,
    skip: Setting<bool>,
    refund_if: Option<RefundIf>,
    exempt: &'static [Network],
    is_named_by_default: bool,
) -> HttpLimit {
    let exempt = Exempt::written(exempt);
    HttpLimit { policy, key, quota, cost, skip, refund_if, methods: None, exempt, is_named_by_default }
}

/// A policy whose quota comes from the request. The one given is only a stand-in.
pub const fn by_request(name: &'static str, quota: Quota) -> Policy {
    Policy::new(name, quota).by_request()
}

/// The quota with the limit that a request computes. `burst` is that of the attribute.
pub fn with_limit(quota: Quota, burst: Option<u32>, limit: Option<u32>) -> Option<Quota> {
    Some(quota.with_limit(limit?, burst))
}

/// A network of IPv4 addresses, checked by the attribute.
pub const fn network_v4([a, b, c, d]: [u8; 4], prefix: u8) -> Network {
    Network::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(a, b, c, d), prefix))
}

/// A network of IPv6 addresses, checked by the attribute.
pub const fn network_v6(segments: [u16; 8], prefix: u8) -> Network {
    let mut bits = 0;
    let mut rest = segments.as_slice();
    while let [segment, tail @ ..] = rest {
        bits = bits << 16 | *segment as u128;
        rest = tail;
    }
    Network::V6(ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::from_bits(bits), prefix))
}

/// The key, with this kind if it is the value of an expression and so has none of its own.
pub fn named(key: Option<Key>, kind: &'static str) -> Option<Key> {
    key.map(|key| key.named(kind))
}

/// Which responses give the charge back.
pub const fn refund_if(refund_if: fn(&Response) -> bool) -> Option<RefundIf> {
    Some(RefundIf(Callback::Static(refund_if)))
}

/// By the value of a header. The kind is `header.` and the name in lower case.
pub const fn header(kind: &'static str) -> KeyBy {
    KeyBy(Source::Header(Kind::Known(kind)))
}

/// By the value of a cookie. The kind is `cookie.` and the name.
pub const fn cookie(kind: &'static str) -> KeyBy {
    KeyBy(Source::Cookie(Kind::Known(kind)))
}

/// By a captured path parameter. The kind is `path.` and the name.
pub const fn path(kind: &'static str) -> KeyBy {
    KeyBy(Source::Path(Kind::Known(kind)))
}

/// By what a closure finds in the head.
pub const fn head(find: fn(&Parts) -> Option<Key>) -> KeyBy {
    KeyBy(Source::Head(Callback::Static(find)))
}

/// By several together.
pub const fn all(parts: &'static [KeyBy]) -> KeyBy {
    KeyBy(Source::All(List::Static(parts)))
}

/// By an expression over the handler's arguments.
pub const fn deferred() -> KeyBy {
    KeyBy(Source::Deferred)
}
