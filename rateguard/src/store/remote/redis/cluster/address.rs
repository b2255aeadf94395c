//! The address of a node.

use std::fmt;

/// The host and the port by which the nodes of a cluster name each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Reads `host:port` from a redirect of the node `here`.
    pub(super) fn parse(text: &str, here: &Address) -> Option<Address> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Address::told(host, port.parse().ok()?, here))
    }

    /// An address as the node `here` tells it. A node that does not know its own host name leaves the host out.
    pub(super) fn told(host: &str, port: u16, here: &Address) -> Address {
        let host = match host {
            "" | "?" => here.host.clone(),
            host => host.to_owned(),
        };
        Address { host, port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[test]
    fn an_address_without_a_host_has_the_host_of_the_node_that_tells_it() {
        let here = at("one", 1);
        assert_eq!(Address::parse("10.0.0.2:6379", &here), Some(at("10.0.0.2", 6379)));
        assert_eq!(Address::parse("::1:6379", &here), Some(at("::1", 6379)));
        assert_eq!(Address::parse("node.internal:7", &here), Some(at("node.internal", 7)));
        assert_eq!(Address::parse(":6380", &here), Some(at("one", 6380)));
        assert_eq!(Address::parse("?:6380", &here), Some(at("one", 6380)));
        for odd in ["", "one", "one:", "one:70000", "one:x"] {
            assert_eq!(Address::parse(odd, &here), None, "{odd}");
        }
    }
}
