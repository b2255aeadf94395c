//! Which network an address stands for.

use std::net::{IpAddr, Ipv6Addr};

/// The address itself for IPv4; for IPv6 the network of `prefix` bits, since one client has all of it.
pub(crate) fn network(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => {
            let keep = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & keep))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_stands_for_its_network_and_an_ipv4_address_for_itself() {
        let at = |text: &str, prefix| network(text.parse().unwrap(), prefix).to_string();
        assert_eq!(at("2001:db8:1:2:3:4:5:6", 64), "2001:db8:1:2::");
        assert_eq!(at("2001:db8:1:2:3:4:5:6", 48), "2001:db8:1::");
        assert_eq!(at("2001:db8::1", 128), "2001:db8::1");
        assert_eq!(at("2001:db8::1", 0), "::");
        assert_eq!(at("203.0.113.7", 64), "203.0.113.7");
    }
}
