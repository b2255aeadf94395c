//! The fuzz targets: functions that take any bytes as input from outside, and assert what must hold. They are compiled for
//! the fuzzer, and for the tests, which run them with proptest's inputs.
#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a target reports a mistake by a panic")]

#[cfg(feature = "redis")]
mod script_reply;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::RateGuard;
use crate::builder::RateGuardBuilder;
use crate::http::normalize;
use crate::key::Key;
use crate::key::encode::KeyWriter;
use crate::quota::Quota;
use crate::quota::parse;
#[cfg(feature = "redis")]
use crate::store::location::Location;
#[cfg(feature = "redis")]
use crate::store::remote::Endpoint;

#[cfg(feature = "redis")]
pub use script_reply::script_reply;

/// The text of a key.
pub fn key_text(key: &Key) -> String {
    let mut text = String::new();
    KeyWriter::new(b"fuzzing").write(&mut text, key);
    text
}

/// The lines of a header, split at line feeds; `None` if one of them is not a valid header value.
pub fn lines(name: &HeaderName, bytes: &[u8]) -> Option<HeaderMap> {
    let lines = bytes.split(|&byte| byte == b'\n');
    lines.map(|line| Some((name.clone(), HeaderValue::from_bytes(line).ok()?))).collect()
}

/// The value that is counted for a cookie.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    normalize::cookie(headers, name).map(|value| value.to_vec())
}

/// `Cookie` and `Authorization` lines: a counted value is the only one of its name, and has only one spelling.
pub fn cookies(bytes: &[u8]) {
    let Some(headers) = lines(&COOKIE, bytes) else { return };
    let found = cookie(&headers, "session");
    if let Some(value) = &found {
        assert!(!value.is_empty());
        // The same value with every byte escaped.
        let escaped = value.iter().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
        let again = lines(&COOKIE, format!("a=b; session=\"{escaped}\"").as_bytes()).expect("it is ASCII");
        assert_eq!(cookie(&again, "session").as_ref(), Some(value));
        // With a second cookie of the name, wherever it stands, there is no key.
        for more in ["session=x", "%73ession=", "x=y; session=\"\""] {
            let joined = [bytes, b"; ", more.as_bytes()].concat();
            assert_eq!(cookie(&lines(&COOKIE, &joined).expect("as before"), "session"), None);
            let joined = [more.as_bytes(), b"\n", bytes].concat();
            assert_eq!(cookie(&lines(&COOKIE, &joined).expect("as before"), "session"), None);
        }
    }
    let name = HeaderName::from_static("authorization");
    let Some(sent) = lines(&name, bytes) else { return };
    if let Some(value) = normalize::credentials(&sent, &name) {
        let again = lines(&name, &value).expect("it is a part of a header");
        assert_eq!(normalize::credentials(&again, &name).as_ref(), Some(&value), "one spelling stays as it is");
        let mut doubled = again;
        doubled.append(name.clone(), HeaderValue::from_static("x"));
        assert_eq!(normalize::credentials(&doubled, &name), None);
    }
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

/// The trusted proxies once more, written without the library's code.
fn trusted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [10 | 127, ..]),
        IpAddr::V6(v6) => v6.is_loopback() || matches!(v6.segments(), [0x2001, 0xdb8, 0xa, ..]),
    }
}

/// A forwarding header: addresses have one form, and nothing left of the client's address matters. The first byte chooses
/// the header and the peer. Then come what the client forged, a zero byte, and what the proxies added.
pub fn forwarded(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let (limiter, name) = match first & 0b11 {
        0 | 1 => (&LIMITERS.x_forwarded_for, "x-forwarded-for"),
        2 => (&LIMITERS.forwarded, "forwarded"),
        _ => (&LIMITERS.header, "x-real-ip"),
    };
    let name = HeaderName::from_static(name);
    let (peer, rest) = match rest.split_first_chunk::<16>() {
        Some((bits, rest)) if first & 0b1100 == 0b100 => (IpAddr::from(Ipv6Addr::from(*bits)), rest),
        _ => (IpAddr::from(Ipv4Addr::new(10, 0, 0, 1)), rest),
    };
    let at = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
    let (forged, header) = rest.split_at(at);
    let header = header.get(1..).unwrap_or_default();
    let Some(headers) = lines(&name, header) else { return };

    let client_ip = &limiter.http().client_ip;
    let address = client_ip.address(peer, &headers);
    assert_eq!(address, address.to_canonical());
    if !trusted(peer.to_canonical()) {
        assert_eq!(address, peer.to_canonical());
    }
    // What the client forged stands before what the proxies added: in a line of its own, or in the same line.
    if !trusted(address) && first & 0b11 != 0b11 {
        for between in [b"\n", b","] {
            let Some(joined) = lines(&name, &[forged, between, header].concat()) else { return };
            assert_eq!(address, client_ip.address(peer, &joined));
        }
    }
}

/// Quotas as text: a quota that is read is written as text that gives the same quota.
pub fn quota_texts(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match text.parse::<Quota>() {
        Ok(quota) => assert_eq!(quota.to_string().parse(), Ok(quota)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match parse::list("quotas", text) {
        Ok(quotas) => {
            for (name, quota) in quotas {
                assert!(crate::Policy::try_new(name, quota).is_ok());
            }
        }
        Err(error) => assert!(error.to_string().starts_with("rateguard: ")),
    }
}

/// URLs of stores: text in a place where a password may be is never in an error or in a displayed endpoint. A byte of 1 in
/// the input stands for the password.
#[cfg(feature = "redis")]
pub fn urls(bytes: &[u8]) {
    const SECRET: &str = "hunter2planted";
    let Ok(written) = str::from_utf8(bytes) else { return };
    let text = written.replace('\u{1}', SECRET);
    // The URL parser drops line ends and tabs, so the fuzzer could spell the secret itself in other places.
    let planted = written.matches('\u{1}').count();
    if text.replace(['\r', '\n', '\t'], "").matches(SECRET).count() != planted {
        return;
    }
    let (taken, said) = match Location::parse("url", &text) {
        Ok(Location::Remote(Endpoint::Redis(endpoint))) => (true, format!("{endpoint} {endpoint:?}")),
        Ok(_) => return,
        Err(error) => (false, format!("{error} {error:?}")),
    };
    let begins = text.find("://").map_or(0, |at| at + 3);
    let is_socket = matches!(text.get(..begins), Some("unix://" | "redis+unix://"));
    let after = |start: usize, chars: &[char]| Some(start + text.get(start..)?.find(chars)?);
    let query_begins = after(begins, if is_socket { &['?'] } else { &['?', '#'] }).unwrap_or(text.len());
    // A socket's path may have an @, but not where a password after a superfluous slash would be.
    let path_begins = if is_socket { after(begins + 1, &['/']) } else { None }.unwrap_or(text.len());
    // In an invalid URL, a question mark may be part of a password. In a valid one it is not.
    let authority_ends = if taken { path_begins.min(query_begins) } else { path_begins };
    let credentials_end = text.get(..authority_ends).and_then(|text| text.rfind('@')).unwrap_or(0);
    // The name of a parameter is not a secret.
    let is_value = |at| text.get(..at).is_some_and(|before| before.ends_with('=')) || at < credentials_end;
    let may_be_secret = |at| at >= begins && (at < credentials_end || at > query_begins && is_value(at));
    if text.match_indices(SECRET).all(|(at, _)| may_be_secret(at)) {
        assert!(!said.contains(SECRET), "{text:?}: {said}");
    }
}
