//! What the fuzz targets run: any bytes as what comes from outside, and what must hold then. Compiled for them, and for the
//! tests, which run the same with inputs that proptest makes.
#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a target that meets a mistake says so")]

#[cfg(feature = "redis")]
mod script_reply;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::builder::RateGuardBuilder;
use crate::http::normalize;
use crate::key::Key;
use crate::key::encode::KeyWriter;
use crate::limiter::RateGuard;
use crate::quota::Quota;
use crate::quota::parse;
#[cfg(feature = "redis")]
use crate::store::location::Target;

#[cfg(feature = "redis")]
pub use script_reply::script_reply;

/// The key, as it is written down.
pub fn key_text(key: &Key) -> String {
    let mut text = String::new();
    KeyWriter::new(b"fuzzing").write(&mut text, key);
    text
}

/// The lines of a header, of which a line feed parts two; `None` if one of them cannot be sent.
pub fn lines(name: &HeaderName, bytes: &[u8]) -> Option<HeaderMap> {
    let lines = bytes.split(|&byte| byte == b'\n');
    lines.map(|line| Some((name.clone(), HeaderValue::from_bytes(line).ok()?))).collect()
}

/// What is counted for a cookie.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    normalize::cookie(headers, name).map(|value| value.to_vec())
}

/// `Cookie` and `Authorization` lines: whatever is counted is the only one of its name, and in no second spelling.
pub fn cookies(bytes: &[u8]) {
    let Some(headers) = lines(&COOKIE, bytes) else { return };
    let found = cookie(&headers, "session");
    if let Some(value) = &found {
        assert!(!value.is_empty());
        // Said again in plain bytes, all of them escaped.
        let escaped = value.iter().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
        let again = lines(&COOKIE, format!("a=b; session=\"{escaped}\"").as_bytes()).expect("it is ASCII");
        assert_eq!(cookie(&again, "session").as_ref(), Some(value));
        // One more of the name, wherever it stands, and there is no identity.
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

/// As a second pair of eyes: written down again, and not with the library's own means.
fn trusted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [10 | 127, ..]),
        IpAddr::V6(v6) => v6.is_loopback() || matches!(v6.segments(), [0x2001, 0xdb8, 0xa, ..]),
    }
}

/// A forwarding header: one form of address, and nothing that stands left of the client matters. The first byte picks the
/// header and the peer; what follows is what the client forged, a zero byte, and what the proxies made of it.
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

    let client_ip = limiter.client_ip();
    let address = client_ip.address(peer, &headers);
    assert_eq!(address, address.to_canonical());
    if !trusted(peer.to_canonical()) {
        assert_eq!(address, peer.to_canonical());
    }
    // What the client adds to its own request stands in front of what the proxies made of it: in a line of its own, or in
    // the same one.
    if !trusted(address) && first & 0b11 != 0b11 {
        for between in [b"\n", b","] {
            let Some(joined) = lines(&name, &[forged, between, header].concat()) else { return };
            assert_eq!(address, client_ip.address(peer, &joined));
        }
    }
}

/// Quotas as text: what is read is written as what reads the same.
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

/// URLs of stores: what stands where a password may is in no error, and in no endpoint that is shown. A byte of 1 stands
/// for it.
#[cfg(feature = "redis")]
pub fn urls(bytes: &[u8]) {
    const SECRET: &str = "hunter2planted";
    let Ok(written) = str::from_utf8(bytes) else { return };
    let text = written.replace('\u{1}', SECRET);
    // Line ends and tabs are dropped from URLs, so a fuzzer could spell the secret itself, where none is.
    let planted = written.matches('\u{1}').count();
    if text.replace(['\r', '\n', '\t'], "").matches(SECRET).count() != planted {
        return;
    }
    let (taken, said) = match Target::parse("url", &text) {
        Ok(Target::Redis(endpoint)) => (true, format!("{endpoint} {endpoint:?}")),
        Ok(_) => return,
        Err(error) => (false, format!("{error} {error:?}")),
    };
    let begins = text.find("://").map_or(0, |at| at + 3);
    let is_socket = matches!(text.get(..begins), Some("unix://" | "redis+unix://"));
    let after = |start: usize, chars: &[char]| Some(start + text.get(start..)?.find(chars)?);
    let query_begins = after(begins, if is_socket { &['?'] } else { &['?', '#'] }).unwrap_or(text.len());
    // A socket's path may have an @ in it, but not where a password with a slash too many in front would be.
    let path_begins = if is_socket { after(begins + 1, &['/']) } else { None }.unwrap_or(text.len());
    // Where the URL is wrong, a question mark may be in the middle of a password; where it is right, it is not.
    let authority_ends = if taken { path_begins.min(query_begins) } else { path_begins };
    let credentials_end = text.get(..authority_ends).and_then(|text| text.rfind('@')).unwrap_or(0);
    // A parameter's name is none.
    let is_value = |at| text.get(..at).is_some_and(|before| before.ends_with('=')) || at < credentials_end;
    let may_be_secret = |at| at >= begins && (at < credentials_end || at > query_begins && is_value(at));
    if text.match_indices(SECRET).all(|(at, _)| may_be_secret(at)) {
        assert!(!said.contains(SECRET), "{text:?}: {said}");
    }
}
