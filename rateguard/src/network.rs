//! Which network an address stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::ConfigError;

/// How many bits of an address tell one client from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefixes {
    pub(crate) ipv4: u8,
    pub(crate) ipv6: u8,
}

impl Default for Prefixes {
    /// An IPv4 address, and the IPv6 network that a site has at least.
    fn default() -> Prefixes {
        Prefixes { ipv4: 32, ipv6: 64 }
    }
}

impl Prefixes {
    pub(crate) fn check(self) -> Result<(), ConfigError> {
        if !(8..=32).contains(&self.ipv4) {
            let problem = "use 8 to 32 bits: 32, the default, is the address itself";
            return Err(ConfigError::new("ipv4_prefix", self.ipv4.to_string(), problem));
        }
        if !(32..=128).contains(&self.ipv6) {
            let problem = "use 32 to 128 bits: 64, the default, is the network that one client has at least";
            return Err(ConfigError::new("ipv6_prefix", self.ipv6.to_string(), problem));
        }
        Ok(())
    }
}

/// The network that one client is taken to have all of, as its first address.
///
/// IPv4 addresses in the form of IPv6 become IPv4 first. Masked as IPv6 they would all be one client: the 64 bits in
/// front of them are the same for all.
pub(crate) fn network(ip: IpAddr, prefixes: Prefixes) -> IpAddr {
    match embedded_ipv4(ip) {
        IpAddr::V4(ip) => {
            let keep = u32::MAX.checked_shl(32 - u32::from(prefixes.ipv4.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & keep))
        }
        IpAddr::V6(ip) => {
            let keep = u128::MAX.checked_shl(128 - u32::from(prefixes.ipv6.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & keep))
        }
    }
}

/// Takes an IPv4 client out of `::ffff:a.b.c.d` (RFC 4291, section 2.5.5.2) and out of `64:ff9b::a.b.c.d`, the form in
/// which a translator shows it to an IPv6-only server (RFC 6052, section 2.1).
///
/// `::a.b.c.d` stays IPv6: it is deprecated (RFC 4291, section 2.5.5.1), nobody's, and `::1` is one of them.
fn embedded_ipv4(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
                let [.., a, b, c, d] = v6.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            _ => ip.to_canonical(),
        },
        IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, ipv4: u8, ipv6: u8) -> String {
        network(text.parse().unwrap(), Prefixes { ipv4, ipv6 }).to_string()
    }

    #[test]
    fn an_address_stands_for_its_network() {
        assert_eq!(at("2001:db8:1:2:3:4:5:6", 32, 64), "2001:db8:1:2::");
        assert_eq!(at("2001:db8:1:2:3:4:5:6", 32, 48), "2001:db8:1::");
        assert_eq!(at("2001:db8:1:2ff:3:4:5:6", 32, 56), "2001:db8:1:200::");
        assert_eq!(at("2001:db8::1", 32, 128), "2001:db8::1");
        assert_eq!(at("2001:db8::1", 32, 0), "::");
        assert_eq!(at("203.0.113.7", 32, 64), "203.0.113.7");
        assert_eq!(at("203.0.113.7", 24, 64), "203.0.113.0");
        assert_eq!(at("203.0.113.7", 0, 64), "0.0.0.0");
    }

    #[test]
    fn ipv4_clients_in_ipv6_clothes_are_told_apart() {
        for (clothed, bare) in [
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:cb00:7108", "203.0.113.8"),
            ("64:ff9b::203.0.113.7", "203.0.113.7"),
            ("64:ff9b::cb00:7108", "203.0.113.8"),
        ] {
            assert_eq!(at(clothed, 32, 64), bare);
            assert_eq!(at(clothed, 24, 64), "203.0.113.0");
        }
    }

    #[test]
    fn what_only_looks_like_ipv4_stays_ipv6() {
        assert_eq!(at("::203.0.113.7", 32, 64), "::");
        assert_eq!(at("::1", 32, 128), "::1");
        assert_eq!(at("64:ff9b:1::203.0.113.7", 32, 64), "64:ff9b:1::");
        assert_eq!(at("64:ff9b::1:203.0.113.7", 32, 64), "64:ff9b::");
        assert_eq!(at("2002:cb00:7107::1", 32, 64), "2002:cb00:7107::");
    }

    #[test]
    fn prefixes_outside_their_range_are_an_error_that_says_the_range() {
        assert!(Prefixes::default().check().is_ok());
        for (ipv4, ipv6, expected) in [
            (7, 64, "ipv4_prefix = \"7\": use 8 to 32"),
            (33, 64, "ipv4_prefix = \"33\""),
            (32, 31, "use 32 to 128"),
            (32, 129, "ipv6_prefix = \"129\""),
        ] {
            let error = Prefixes { ipv4, ipv6 }.check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
