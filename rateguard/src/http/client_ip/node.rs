//! One address, as proxies spell it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Unreadable;

/// Reads `a.b.c.d`, `x:y::z` or `[x:y::z]`. The first and the last may have a port, an IPv6 address a zone; both say
/// nothing about who it is and are dropped. `unknown` and `_names` (RFC 7239, section 6) are no addresses.
///
/// An address has one spelling for every other part: no leading zeros, which some would read as octal.
pub(super) fn address(text: &[u8]) -> Result<IpAddr, Unreadable> {
    let text = str::from_utf8(text).map_err(|_| Unreadable)?;
    let ip = if let Some(bracketed) = text.strip_prefix('[') {
        let (inside, after) = bracketed.split_once(']').ok_or(Unreadable)?;
        if !after.is_empty() && !after.strip_prefix(':').is_some_and(is_port) {
            return Err(Unreadable);
        }
        IpAddr::V6(ipv6(inside)?)
    } else {
        match text.split_once(':') {
            None => IpAddr::V4(ipv4(text)?),
            Some((host, port)) if is_port(port) && host.contains('.') => IpAddr::V4(ipv4(host)?),
            Some(_) => IpAddr::V6(ipv6(text)?),
        }
    };
    Ok(ip.to_canonical())
}

fn ipv4(text: &str) -> Result<Ipv4Addr, Unreadable> {
    text.parse().map_err(|_| Unreadable)
}

fn ipv6(text: &str) -> Result<Ipv6Addr, Unreadable> {
    let address = match text.split_once('%') {
        None => text,
        Some((address, zone)) if is_name(zone) => address,
        Some(_) => return Err(Unreadable),
    };
    address.parse().map_err(|_| Unreadable)
}

/// A number, or the name that RFC 7239 allows in its place.
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => is_name(name),
        None => text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~' | b'%');
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        for (expected, spellings) in [
            (
                "203.0.113.7",
                &["203.0.113.7", "203.0.113.7:80", "203.0.113.7:_http", "::ffff:203.0.113.7", "[::ffff:cb00:7107]:1"][..],
            ),
            (
                "2001:db8::1",
                &[
                    "2001:db8::1",
                    "[2001:db8::1]",
                    "[2001:db8::1]:65535",
                    "[2001:DB8:0:0::0001]:_x",
                    "2001:db8::1%eth0",
                    "[2001:db8::1%25eth0.1]:1",
                ],
            ),
            ("::1", &["::1", "[::1]", "0:0:0:0:0:0:0:1"]),
        ] {
            for spelling in spellings {
                assert_eq!(address(spelling.as_bytes()), Ok(expected.parse().unwrap()), "{spelling}");
            }
        }
    }

    #[test]
    fn anything_else_is_unreadable() {
        for text in [
            "",
            "unknown",
            "_gateway",
            "localhost",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "01.2.3.4",
            "0x1.2.3.4",
            "3405803783",
            "1.2.3.4:",
            "1.2.3.4:65536",
            "1.2.3.4:000080",
            "1.2.3.4:+80",
            "1.2.3.4:80:80",
            "1.2.3.4/32",
            "1.2.3.4%eth0",
            "[1.2.3.4]",
            "[1.2.3.4]:80",
            "1.2.3.4 5.6.7.8",
            " 1.2.3.4",
            "\"1.2.3.4\"",
            "[::1",
            "::1]",
            "[::1]80",
            "[::1]:",
            "[::1]:x",
            "[]",
            "[]:80",
            "::1%",
            "::1%a b",
            "::1%]",
            "%eth0",
            ":",
            ":::",
            "::1::",
            "12345::",
            "1:2:3:4:5:6:7:8:9",
            "[[::1]]",
            "\u{661}.2.3.4",
            "1.2.3.4\u{a0}",
        ] {
            assert_eq!(address(text.as_bytes()), Err(Unreadable), "{text:?}");
        }
        assert_eq!(address(b"1.2.3.4\xff"), Err(Unreadable));
    }
}
