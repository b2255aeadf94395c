//! The walk written a second time, as plainly as can be, and random headers on which the two must agree.

use std::net::IpAddr;

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{ClientIp, Options, X_FORWARDED_FOR};

const PEER: [u8; 4] = [10, 0, 0, 1];
const TRUSTED: [(&str, usize); 3] = [("10.0.0.0", 8), ("2001:db8:a::", 48), ("192.0.2.1", 32)];

/// Collects everything, then goes through it from the right. `None`: something on the way was no address.
fn walked(elements: &[Option<IpAddr>]) -> Option<IpAddr> {
    let mut answer = IpAddr::from(PEER);
    for element in elements.iter().rev() {
        answer = (*element)?;
        if !trusted(answer) {
            break;
        }
    }
    Some(answer)
}

/// Compares addresses digit by digit.
fn trusted(address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => format!("{:032b}", v4.to_bits()),
        IpAddr::V6(v6) => format!("{:0128b}", v6.to_bits()),
    };
    TRUSTED.iter().any(|(network, prefix)| {
        let (network, address) = (bits(network.parse().unwrap()), bits(address));
        network.len() == address.len() && network[..*prefix] == address[..*prefix]
    })
}

/// Tries every way to take an element apart.
fn address(element: &str) -> Option<IpAddr> {
    let name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-~%".contains(c));
    let port = |text: &str| match text.split_at_checked(1) {
        Some(("_", rest)) => name(rest),
        _ => text.len() < 6 && text.chars().all(|c| c.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|n| n < 65536),
    };
    let v4 = |text: &str| text.parse::<IpAddr>().ok().filter(IpAddr::is_ipv4);
    let v6 = |text: &str| {
        let zones = text.match_indices('%').filter(|(at, _)| name(&text[at + 1..])).map(|(at, _)| &text[..at]);
        let found = zones.chain([text]).find_map(|host| host.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6));
        found.map(|ip| ip.to_canonical())
    };
    let host = |text: &str| match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inside) => v6(inside),
        None => v4(text),
    };
    let with_port =
        element.match_indices(':').filter(|(at, _)| port(&element[at + 1..])).find_map(|(at, _)| host(&element[..at]));
    with_port.or_else(|| host(element)).or_else(|| v6(element))
}

fn limiter(options: Options) -> ClientIp {
    options.trusted_proxies(TRUSTED.map(|(network, prefix)| format!("{network}/{prefix}"))).build().unwrap()
}

/// The answer, and whether it was given for want of an address.
fn answer(client_ip: &ClientIp, name: &HeaderName, lines: &[String]) -> (IpAddr, bool) {
    let value = |line: &String| HeaderValue::from_bytes(line.as_bytes()).unwrap();
    let headers: HeaderMap = lines.iter().map(|line| (name.clone(), value(line))).collect();
    let before = client_ip.unreadable_count();
    let found = client_ip.address(IpAddr::from(PEER), &headers);
    (found, client_ip.unreadable_count() > before)
}

fn expected(elements: &[Option<IpAddr>]) -> (IpAddr, bool) {
    walked(elements).map_or((PEER.into(), true), |found| (found, false))
}

fn trusted_address() -> impl Strategy<Value = IpAddr> {
    any::<[u8; 3]>().prop_map(|[b, c, d]| match b % 3 {
        0 => IpAddr::from([10, b, c, d]),
        1 => IpAddr::from([0x2001, 0xdb8, 0xa, b.into(), c.into(), d.into(), 0, 1]),
        _ => IpAddr::from([192, 0, 2, 1]),
    })
}

/// Anything that a header may hold, and often what has a meaning there.
fn header_byte() -> impl Strategy<Value = u8> {
    let allowed = |byte| if matches!(byte, b'\t' | b' '..=b'~' | 128..) { byte } else { b',' };
    prop_oneof![select(b"\"\\,;=: []for1.".to_vec()), any::<u8>().prop_map(allowed)]
}

fn some_address() -> impl Strategy<Value = IpAddr> {
    let near = |network: &'static str| {
        any::<[u8; 2]>()
            .prop_map(move |[c, d]| network.replace('C', &c.to_string()).replace('D', &d.to_string()).parse().unwrap())
    };
    prop_oneof![
        3 => near("10.0.C.D"),
        2 => near("2001:db8:a:C::D"),
        1 => Just(IpAddr::from([192, 0, 2, 1])),
        1 => near("::ffff:10.0.C.D"),
        1 => near("64:ff9b::10.0.C.D"),
        1 => near("::10.0.C.D"),
        1 => any::<IpAddr>(),
    ]
}

fn spelt() -> impl Strategy<Value = String> {
    let port = select(vec!["", ":0", ":4711", ":65535", ":_p", ":65536", ":", ":x"]);
    let zone = select(vec!["", "", "%eth0", "%25x", "%"]);
    (some_address(), any::<bool>(), port, zone).prop_map(|(ip, brackets, port, zone)| match ip {
        IpAddr::V6(_) if brackets => format!("[{ip}{zone}]{port}"),
        IpAddr::V6(_) => format!("{ip}{zone}"),
        IpAddr::V4(_) => format!("{ip}{port}"),
    })
}

fn element() -> impl Strategy<Value = String> {
    let odd = select(vec!["", "unknown", "_hidden", "\"10.0.0.2\"", "10.0.0.2 10.0.0.3", "for=10.0.0.2", "\u{e9}"]);
    prop_oneof![
        12 => spelt(),
        2 => odd.prop_map(str::to_owned),
        1 => "[0-9a-f:.\\[\\]%_\" \t]{0,20}",
    ]
}

/// A parameter of `Forwarded`, and whom it names if it is the one that names somebody.
fn parameter() -> impl Strategy<Value = (String, Option<Option<IpAddr>>)> {
    let who = (prop_oneof![9 => spelt(), 1 => Just("unknown".to_owned())], any::<bool>(), any::<bool>(), 0..8_usize);
    let who = who.prop_map(|(node, upper, quotes, escaped)| {
        let mut text = node.clone();
        if quotes {
            text.insert(escaped % (node.len() + 1), '\\');
            text = if text.ends_with('\\') { node.clone() } else { text };
            text = format!("\"{text}\"");
        }
        (format!("{}={text}", if upper { "FOR" } else { "for" }), Some(address(&node)))
    });
    let other = ("(by|host|proto|x)", "[a-z0-9 ,;=\"\\\\:.\\[\\]]{0,12}").prop_map(|(name, value)| {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        (format!("{name}=\"{escaped}\""), None)
    });
    prop_oneof![3 => who, 2 => other]
}

fn forwarded_element() -> impl Strategy<Value = (String, Option<IpAddr>)> {
    vec(parameter(), 1..4).prop_map(|parameters| {
        let named: Vec<_> = parameters.iter().filter_map(|(_, named)| *named).collect();
        let text = parameters.into_iter().map(|(text, _)| text).collect::<Vec<_>>().join(";");
        // One `for`, no more and no less.
        (text, if let [one] = named[..] { one } else { None })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn x_forwarded_for_is_walked_as_the_plain_walk_does(
        lines in vec(vec(("[ \t]{0,2}", element(), "[ \t]{0,2}"), 0..6), 0..4),
    ) {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| line.iter().map(|(left, text, right)| format!("{left}{text}{right}")).collect::<Vec<_>>().join(","))
            .collect();
        let all = lines.join(",");
        let elements: Vec<_> = all.split(',').map(|text| text.trim_matches([' ', '\t'])).filter(|text| !text.is_empty()).map(address).collect();
        prop_assert_eq!(answer(&limiter(Options::default()), &X_FORWARDED_FOR, &lines), expected(&elements), "{:?}", lines);
    }

    #[test]
    fn forwarded_is_walked_as_the_plain_walk_does(lines in vec(vec(forwarded_element(), 0..5), 0..4)) {
        let elements: Vec<_> = lines.iter().flatten().map(|(_, named)| *named).collect();
        let lines: Vec<String> = lines
            .iter()
            .map(|line| line.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(", "))
            .collect();
        prop_assert_eq!(answer(&limiter(Options::default().forwarded()), &FORWARDED, &lines), expected(&elements), "{:?}", lines);
    }

    #[test]
    fn what_the_client_wrote_left_of_its_address_changes_nothing(
        forged in vec(header_byte(), 0..300),
        proxies in vec(trusted_address(), 0..4),
        forwarded in any::<bool>(),
    ) {
        let client = "203.0.113.7";
        let (name, options) = if forwarded { (FORWARDED, Options::default().forwarded()) } else { (X_FORWARDED_FOR, Options::default()) };
        let mut line = forged;
        for ip in std::iter::once(client.to_owned()).chain(proxies.iter().map(ToString::to_string)) {
            line.extend(if forwarded { format!(", for=\"{ip}\"") } else { format!(", {ip}") }.into_bytes());
        }
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_bytes(&line).unwrap())]);
        let client_ip = limiter(options);
        prop_assert_eq!(client_ip.address(IpAddr::from(PEER), &headers), client.parse::<IpAddr>().unwrap());
        prop_assert_eq!(client_ip.unreadable_count(), 0);
    }
}
