//! `exempt`: the networks of clients that a limit does not count.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proc_macro2::{Delimiter, TokenTree};
use syn::LitStr;

use crate::errors::Errors;
use crate::plan::{Exempt, Network};
use crate::value::Value;

const ALLOWED: &str = "write an address or a network, such as \"10.0.0.1\", \"10.0.0.0/8\" or \"2001:db8::/32\", or one of \
                       the names \"loopback\" and \"private\"";

/// Reads `exempt`.
pub(crate) fn read(value: &Value, errors: &mut Errors) -> Option<Vec<Exempt>> {
    let items = match value.items(Delimiter::Bracket) {
        Some(items) if !items.is_empty() => items,
        list => {
            let example = match value.string() {
                Some(text) => format!("[\"{}\"]", text.value().escape_debug()),
                None => "[\"10.0.0.0/8\"]".to_owned(),
            };
            let problem = if list.is_some() { "is empty: leave it out, or list" } else { "is a list of" };
            errors.on(
                value.stream(),
                format!(
                    "`exempt` {problem} the networks of clients that are not counted, such as `exempt = {example}`"
                ),
            );
            return None;
        }
    };
    let mut exempt: Vec<Exempt> = Vec::new();
    let mut sound = true;
    for item in items {
        let wrong = match item.string() {
            None => Err((item.stream(), format!("`exempt` is a list of strings: {ALLOWED}"))),
            Some(text) => one(&text, &exempt).map_err(|problem| (value_of(&text), problem)),
        };
        match wrong {
            Ok(one) => exempt.push(one),
            Err((tokens, message)) => {
                errors.on(tokens, message);
                sound = false;
            }
        }
    }
    sound.then_some(exempt)
}

fn value_of(text: &LitStr) -> proc_macro2::TokenStream {
    TokenTree::from(text.token()).into()
}

/// Reads one of the list.
fn one(text: &LitStr, earlier: &[Exempt]) -> Result<Exempt, String> {
    let written = text.value();
    let text = written.trim();
    if earlier.iter().any(|earlier| earlier.text == text) {
        return Err(format!("\"{text}\" is in the list twice: leave one out"));
    }
    let networks = match text {
        "loopback" => vec![v4([127, 0, 0, 0], 8), v6(1, 128)],
        // RFC 1918 and RFC 4193.
        "private" => {
            vec![v4([10, 0, 0, 0], 8), v4([172, 16, 0, 0], 12), v4([192, 168, 0, 0], 16), v6(0xfc00 << 112, 7)]
        }
        _ => vec![network(text)?],
    };
    Ok(Exempt { text: text.to_owned(), networks })
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Network {
    Network { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

const fn v6(bits: u128, prefix: u8) -> Network {
    Network { address: IpAddr::V6(Ipv6Addr::from_bits(bits)), prefix }
}

fn network(text: &str) -> Result<Network, String> {
    let unknown = || {
        let hint = if text.eq_ignore_ascii_case("localhost") { "; did you mean \"loopback\"?" } else { "" };
        format!("`exempt` cannot have \"{text}\"{hint}\n{ALLOWED}")
    };
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| unknown())?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(prefix) if !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit()) => prefix
            .parse()
            .ok()
            .filter(|prefix| *prefix <= longest)
            .ok_or_else(|| format!("the prefix of \"{text}\" is longer than an address: use /1 to /{longest}"))?,
        Some(_) => return Err(unknown()),
    };
    let network = Network { address, prefix };
    let whole = truncated(network);
    if whole != network {
        return Err(format!(
            "\"{text}\" is neither the network \"{}/{prefix}\" nor the address \"{address}\": write the one you mean",
            whole.address
        ));
    }
    let network = canonical(network);
    if network.prefix == 0 {
        return Err(format!(
            "\"{text}\" would exempt every client: name the networks that are not counted, or remove the limit"
        ));
    }
    Ok(network)
}

/// The network without the bits after its prefix.
fn truncated(Network { address, prefix }: Network) -> Network {
    let address = match address {
        IpAddr::V4(v4) => {
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & !u32::MAX.checked_shr(prefix.into()).unwrap_or(0)))
        }
        IpAddr::V6(v6) => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::MAX.checked_shr(prefix.into()).unwrap_or(0)))
        }
    };
    Network { address, prefix }
}

/// IPv4 addresses written as IPv6 are the IPv4 addresses, as those of clients are.
fn canonical(network: Network) -> Network {
    match (network.address.to_canonical(), network.prefix.checked_sub(96)) {
        (IpAddr::V4(address), Some(prefix)) if network.address.is_ipv6() => {
            Network { address: IpAddr::V4(address), prefix }
        }
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_address_or_a_network_is_read_in_its_own_form() {
        for (text, address, prefix) in [
            ("10.0.0.0/8", "10.0.0.0", 8),
            ("10.0.0.1", "10.0.0.1", 32),
            ("2001:db8::/32", "2001:db8::", 32),
            ("::1", "::1", 128),
            ("128.0.0.0/1", "128.0.0.0", 1),
            ("::ffff:10.0.0.1", "10.0.0.1", 32),
            ("::ffff:10.0.0.0/104", "10.0.0.0", 8),
        ] {
            assert_eq!(network(text), Ok(Network { address: address.parse().unwrap(), prefix }), "{text}");
        }
    }

    #[test]
    fn anything_else_is_an_error_that_says_what_to_write() {
        for (text, said) in [
            ("", "such as \"10.0.0.1\""),
            ("localhost", "did you mean \"loopback\"?"),
            ("unix", "\"loopback\" and \"private\""),
            ("10.0.0/8", "`exempt` cannot have \"10.0.0/8\""),
            ("10.0.0.0/", "`exempt` cannot have"),
            ("10.0.0.0/+8", "`exempt` cannot have"),
            ("10.0.0.0/33", "use /1 to /32"),
            ("2001:db8::/129", "use /1 to /128"),
            ("10.0.0.1/8", "neither the network \"10.0.0.0/8\" nor the address \"10.0.0.1\""),
            ("2001:db8::1/32", "neither the network \"2001:db8::/32\""),
            ("0.0.0.0/0", "would exempt every client"),
            ("::/0", "would exempt every client"),
            ("::ffff:0.0.0.0/96", "would exempt every client"),
        ] {
            let error = network(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
