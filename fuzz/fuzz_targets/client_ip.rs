//! Any bytes as a forwarding header: no panic, one form of address, and nothing that stands left of the client matters.
#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use rateguard::{RateGuard, RateGuardBuilder, fuzzing};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    source: Source,
    peer: Peer,
    forged: &'a [u8],
    /// Several lines, with line feeds between them.
    header: &'a [u8],
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Source {
    XForwardedFor,
    Forwarded,
    Header,
}

#[derive(Arbitrary, Debug)]
enum Peer {
    Trusted,
    Any(IpAddr),
}

struct Limiters {
    x_forwarded_for: RateGuard,
    forwarded: RateGuard,
    header: RateGuard,
}

static LIMITERS: LazyLock<Limiters> = LazyLock::new(|| {
    let builder = || RateGuard::builder().trusted_proxies(["10.0.0.0/8", "2001:db8:a::/48", "loopback"]);
    let build = |builder: RateGuardBuilder| builder.build().expect("good settings");
    Limiters {
        x_forwarded_for: build(builder()),
        forwarded: build(builder().forwarded_header()),
        header: build(builder().client_ip_header("x-real-ip")),
    }
});

/// As a second pair of eyes: written down again, and not with the library's own means.
fn trusted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [10 | 127, ..]),
        IpAddr::V6(v6) => v6.is_loopback() || v6.segments()[..3] == [0x2001, 0xdb8, 0xa],
    }
}

fn lines(header: &[u8]) -> impl Iterator<Item = HeaderValue> {
    header.split(|&byte| byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok())
}

fn is_valid(header: &[u8]) -> bool {
    header.split(|&byte| byte == b'\n').all(|line| HeaderValue::from_bytes(line).is_ok())
}

fuzz_target!(|input: Input<'_>| {
    let (limiter, name) = match input.source {
        Source::XForwardedFor => (&LIMITERS.x_forwarded_for, "x-forwarded-for"),
        Source::Forwarded => (&LIMITERS.forwarded, "forwarded"),
        Source::Header => (&LIMITERS.header, "x-real-ip"),
    };
    let name = HeaderName::from_static(name);
    let peer = match input.peer {
        Peer::Trusted => IpAddr::from([10, 0, 0, 1]),
        Peer::Any(address) => address,
    };
    let headers: HeaderMap = lines(input.header).map(|line| (name.clone(), line)).collect();
    let address = fuzzing::client_ip(limiter, peer, &headers);
    assert_eq!(address, address.to_canonical());
    if !trusted(peer.to_canonical()) {
        assert_eq!(address, peer.to_canonical());
    }
    if !trusted(address) && !matches!(input.source, Source::Header) {
        // What the client adds to its own request stands in front of what the proxies made of it: in a line of its
        // own, or in the same one.
        let mut forged: HeaderMap = lines(input.forged).map(|line| (name.clone(), line)).collect();
        for (name, value) in &headers {
            forged.append(name, value.clone());
        }
        assert_eq!(address, fuzzing::client_ip(limiter, peer, &forged));
        if [input.forged, input.header].into_iter().all(is_valid) {
            let text = [input.forged, b",", input.header].concat();
            let forged: HeaderMap = lines(&text).map(|line| (name.clone(), line)).collect();
            assert_eq!(address, fuzzing::client_ip(limiter, peer, &forged));
        }
    }
});
