//! The proxies whose headers are believed.

use std::net::IpAddr;

use ipnet::IpNet;

use super::networks::named_or_parsed;
use crate::error::ConfigError;

const SETTING: &str = "trusted_proxies";
const NAMES: &str = "\"loopback\", \"private\" and \"unix\"";

/// Networks whose headers are believed, and whether those of Unix sockets are.
#[derive(Clone, Debug, Default)]
pub(super) struct TrustedProxies {
    networks: Box<[IpNet]>,
    unix: bool,
}

impl TrustedProxies {
    pub(super) fn parse(texts: &[String]) -> Result<TrustedProxies, ConfigError> {
        let mut networks = Vec::new();
        let mut unix = false;
        for text in texts {
            if text.trim() == "unix" {
                unix = true;
                continue;
            }
            let wrong = |problem: String| ConfigError::new(SETTING, text, problem);
            let found = named_or_parsed(text, NAMES).map_err(wrong)?;
            if found.iter().any(|network| network.prefix_len() == 0) {
                let problem = "this would trust the header of every client; name the networks of your proxies";
                return Err(wrong(problem.to_owned()));
            }
            networks.extend(found);
        }
        Ok(TrustedProxies { networks: networks.into(), unix })
    }

    /// The address must be in its own form: an IPv4 address no IPv6 one.
    pub(super) fn trust(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether to trust who is at the other end of a Unix socket.
    pub(super) fn trust_unix(&self) -> bool {
        self.unix
    }

    pub(super) fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TrustedProxies, ConfigError> {
        TrustedProxies::parse(&[text.to_owned()])
    }

    #[track_caller]
    fn assert_trust(text: &str, inside: &[&str], outside: &[&str]) {
        let proxies = parse(text).unwrap();
        for address in inside {
            assert!(proxies.trust(address.parse().unwrap()), "{address} is in {text}");
        }
        for address in outside {
            assert!(!proxies.trust(address.parse().unwrap()), "{address} is not in {text}");
        }
    }

    #[test]
    fn networks_addresses_and_names_say_whom_to_trust() {
        assert_trust("10.0.0.0/8", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0", "::10.0.0.1"]);
        assert_trust("192.0.2.1", &["192.0.2.1"], &["192.0.2.0", "192.0.2.2"]);
        assert_trust(" 2001:db8::/32 ", &["2001:db8:ffff::1"], &["2001:db9::", "32.1.13.184"]);
        assert_trust("2001:db8::1", &["2001:db8::1"], &["2001:db8::"]);
        assert_trust("loopback", &["127.0.0.1", "127.255.0.1", "::1"], &["128.0.0.1", "::2", "10.0.0.1"]);
        assert_trust(
            "private",
            &["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fdff::1"],
            &["127.0.0.1", "172.32.0.1", "192.169.0.1", "100.64.0.1", "169.254.0.1", "fe80::1", "::1", "8.8.8.8"],
        );
    }

    #[test]
    fn an_ipv4_network_in_ipv6_clothes_is_the_ipv4_network() {
        assert_trust("::ffff:10.0.0.0/104", &["10.1.2.3"], &["11.0.0.1"]);
        assert_trust("::ffff:10.0.0.1", &["10.0.0.1"], &["10.0.0.2"]);
    }

    #[test]
    fn the_address_of_a_translator_is_no_ipv4_address_when_it_is_about_trust() {
        assert_trust("10.0.0.0/8", &[], &["64:ff9b::10.0.0.1", "::10.0.0.1"]);
        assert_trust("64:ff9b::/96", &["64:ff9b::10.0.0.1"], &["10.0.0.1"]);
    }

    #[test]
    fn anything_else_is_an_error_that_says_what_to_write() {
        for (text, hint) in [
            ("", "use an address or a network"),
            ("localhost", "\"loopback\", \"private\" and \"unix\""),
            ("10.0.0.0/33", "use an address or a network"),
            ("10.0.0/8", "use an address or a network"),
            ("*", "use an address or a network"),
            ("10.0.0.1/8", "neither the network \"10.0.0.0/8\" nor the address \"10.0.0.1\""),
            ("0.0.0.0/0", "trust the header of every client"),
            ("::/0", "trust the header of every client"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.setting(), "trusted_proxies");
            assert!(error.to_string().contains(hint), "{error}");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
