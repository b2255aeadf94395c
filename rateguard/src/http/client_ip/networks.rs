//! Networks, as settings name them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::error::ConfigError;

const LOOPBACK: [IpNet; 2] = [v4([127, 0, 0, 0], 8), v6(1, 128)];

/// RFC 1918 and RFC 4193.
const PRIVATE: [IpNet; 4] =
    [v4([10, 0, 0, 0], 8), v4([172, 16, 0, 0], 12), v4([192, 168, 0, 0], 16), v6(0xfc00 << 112, 7)];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6(bits: u128, prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), prefix))
}

/// The networks that the texts of a setting stand for: addresses, networks, and the names `loopback` and `private`.
pub(in crate::http) fn networks(setting: &str, texts: &[String]) -> Result<Vec<IpNet>, ConfigError> {
    let mut networks = Vec::new();
    for text in texts {
        let wrong = |problem: String| ConfigError::new(setting, text, problem);
        let found = named_or_parsed(text, "\"loopback\" and \"private\"").map_err(wrong)?;
        if found.iter().any(|network| network.prefix_len() == 0) {
            return Err(wrong("this stands for every client; take the limit away instead".to_owned()));
        }
        networks.extend(found);
    }
    Ok(networks)
}

/// One network, or those of a name. `names` are those that the error lists.
pub(super) fn named_or_parsed(text: &str, names: &str) -> Result<Vec<IpNet>, String> {
    match text.trim() {
        "loopback" => Ok(LOOPBACK.to_vec()),
        "private" => Ok(PRIVATE.to_vec()),
        text => Ok(vec![parsed(text, names)?]),
    }
}

fn parsed(text: &str, names: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            format!(
                "use an address or a network, such as \"10.0.0.1\", \"10.0.0.0/8\" or \"2001:db8::/32\", or one of the \
                 names {names}"
            )
        })?,
    };
    if network.trunc() != network {
        let (whole, one) = (network.trunc(), network.addr());
        return Err(format!(
            "this is neither the network \"{whole}\" nor the address \"{one}\": write the one you mean"
        ));
    }
    Ok(canonical(network))
}

/// A network of IPv4 addresses written as IPv6 is the IPv4 network, as the addresses in it are.
fn canonical(network: IpNet) -> IpNet {
    match network {
        IpNet::V6(v6) => match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
            (Some(address), Some(prefix)) => Ipv4Net::new(address, prefix).map_or(network, IpNet::V4),
            _ => network,
        },
        IpNet::V4(_) => network,
    }
}
