//! What a node answers when it did not do what it was asked, because of where the slot is.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::node::Address;

/// Each of these means that the script has not run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// Another node has the slot.
    Moved(Address),
    /// The slot is on its way to another node, and the key is there already, or would be made there.
    Ask(Address),
    /// The slot is on its way, and of several keys some are here and some are not.
    TryAgain,
    /// Nobody has the slot, or the node is cut off from the others.
    Down,
}

impl Redirect {
    /// `here` is the node that said so.
    pub(crate) fn of(error: &RedisError, here: &Address) -> Option<Redirect> {
        let there = || address(error.detail()?.split_ascii_whitespace().nth(1)?, here);
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => there().map(Redirect::Moved),
            ErrorKind::Server(ServerErrorKind::Ask) => there().map(Redirect::Ask),
            ErrorKind::Server(ServerErrorKind::TryAgain) => Some(Redirect::TryAgain),
            ErrorKind::Server(ServerErrorKind::ClusterDown) => Some(Redirect::Down),
            _ => None,
        }
    }
}

/// `host:port`; a node that does not know a name for itself leaves the host away, and means its own.
fn address(text: &str, here: &Address) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    Some(Address { host: named(host, here), port: port.parse().ok()? })
}

/// A host as a node tells it.
pub(super) fn named(host: &str, here: &Address) -> String {
    match host {
        "" | "?" => here.host.clone(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::make_extension_error;

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[test]
    fn an_address_is_taken_as_it_is_told_and_without_a_host_it_is_the_same_host() {
        let here = at("one", 1);
        assert_eq!(address("10.0.0.2:6379", &here), Some(at("10.0.0.2", 6379)));
        assert_eq!(address("::1:6379", &here), Some(at("::1", 6379)));
        assert_eq!(address("node.internal:7", &here), Some(at("node.internal", 7)));
        assert_eq!(address(":6380", &here), Some(at("one", 6380)));
        assert_eq!(address("?:6380", &here), Some(at("one", 6380)));
        for odd in ["", "one", "one:", "one:70000", "one:x"] {
            assert_eq!(address(odd, &here), None, "{odd}");
        }
    }

    #[test]
    fn other_errors_are_no_redirect() {
        let error = make_extension_error("OOM".to_owned(), Some("1 two:3".to_owned()));
        assert_eq!(Redirect::of(&error, &at("one", 1)), None);
    }
}
