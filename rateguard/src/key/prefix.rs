//! The network that an address stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::ConfigError;

/// How many leading bits of an address identify a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefixes {
    pub(crate) ipv4: u8,
    pub(crate) ipv6: u8,
}

impl Default for Prefixes {
    /// A whole IPv4 address, and the smallest IPv6 network that a site gets.
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
            let problem = "use 32 to 128 bits: 64, the default, is the smallest network that one client gets";
            return Err(ConfigError::new("ipv6_prefix", self.ipv6.to_string(), problem));
        }
        Ok(())
    }
}

/// The network that counts as one client, as its first address.
///
/// An IPv4 client in IPv6 form becomes IPv4 first. If it were masked as IPv6, all clients behind one translator or relay
/// would count as one, since they share their first 64 bits, and a 6to4 site would count as 65 536 clients.
pub(crate) fn network(ip: IpAddr, prefixes: Prefixes) -> IpAddr {
    match embedded_ipv4(ip) {
        IpAddr::V6(ip) if made_by_a_translator(ip) => IpAddr::V6(ip),
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

/// The IPv4 address in an IPv6 address, if its prefix says that there is one:
///
/// - `::ffff:a.b.c.d`, IPv4-mapped (RFC 4291, section 2.5.5.2), and `::ffff:0:a.b.c.d`, IPv4-translated (RFC 2765,
///   section 2.1);
/// - `64:ff9b::a.b.c.d`, a translator's address for a server that has only IPv6 (RFC 6052, section 2.1), and
///   `64:ff9b:1:x::a.b.c.d`, from the operator's own network (RFC 8215) in the usual form of 96 bits;
/// - `2002:aabb:ccdd::/48`, a 6to4 site (RFC 3056, section 2);
/// - `2001::/32`, Teredo (RFC 4380, section 4): the client's address is at the end, with all bits inverted.
///
/// `::a.b.c.d` stays IPv6: the form is deprecated (RFC 4291, section 2.5.5.1), and `::1` has it.
fn embedded_ipv4(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let bits = match v6.segments() {
        [0, 0, 0, 0, 0xffff, 0, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => (a, b),
        // With zeros at the end, it is another form of RFC 6052, section 2.2.
        [0x64, 0xff9b, 1, _, 0, 0, a, b] if (a, b) != (0, 0) => (a, b),
        [0x2001, 0, .., a, b] => (!a, !b),
        _ => return ip.to_canonical(),
    };
    IpAddr::V4(Ipv4Addr::from_bits(u32::from(bits.0) << 16 | u32::from(bits.1)))
}

/// Whether the address is in `64:ff9b:1::/48`, in a form that only the operator knows (RFC 6052, section 2.2, has several).
/// A client has one address there and cannot take another, so the whole address counts.
fn made_by_a_translator(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0x64, 0xff9b, 1, ..])
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
    fn ipv4_clients_in_ipv6_form_are_told_apart() {
        for (ipv6, ipv4) in [
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:cb00:7108", "203.0.113.8"),
            ("64:ff9b::203.0.113.7", "203.0.113.7"),
            ("64:ff9b::cb00:7108", "203.0.113.8"),
            ("64:ff9b:1::203.0.113.7", "203.0.113.7"),
            ("64:ff9b:1:fffe::203.0.113.8", "203.0.113.8"),
            ("::ffff:0:203.0.113.7", "203.0.113.7"),
            ("2002:cb00:7107::1", "203.0.113.7"),
            ("2002:cb00:7107:ffff:ffff:ffff:ffff:ffff", "203.0.113.7"),
            ("2001:0:5ef5:79fb:2ce7:3ff5:34ff:8ef8", "203.0.113.7"),
            ("2001:0:5ef5:79fb:0:0:34ff:8ef7", "203.0.113.8"),
        ] {
            assert_eq!(at(ipv6, 32, 64), ipv4);
            assert_eq!(at(ipv6, 24, 64), "203.0.113.0");
        }
    }

    #[test]
    fn an_ipv6_address_that_only_looks_like_ipv4_stays_ipv6() {
        assert_eq!(at("::203.0.113.7", 32, 64), "::");
        assert_eq!(at("::1", 32, 128), "::1");
        assert_eq!(at("64:ff9b::1:203.0.113.7", 32, 64), "64:ff9b::");
        assert_eq!(at("64:ff9b:2::203.0.113.7", 32, 64), "64:ff9b:2::");
        assert_eq!(at("::ffff:1:203.0.113.7", 32, 64), "::");
        assert_eq!(at("2001:1::203.0.113.7", 32, 64), "2001:1::");
        assert_eq!(at("2003:cb00:7107::1", 32, 64), "2003:cb00:7107::");
    }

    #[test]
    fn the_clients_of_a_translator_of_any_form_are_told_apart() {
        // RFC 6052, section 2.2: prefixes of 48, 56 and 64 bits.
        for address in ["64:ff9b:1:cb00:71:700::", "64:ff9b:1:cb:0:7107::", "64:ff9b:1:0:cb:71:700:0"] {
            for prefix in [48, 64, 128] {
                assert_eq!(at(address, 32, prefix), address);
            }
        }
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
