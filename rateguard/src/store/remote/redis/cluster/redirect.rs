//! A node's answer that it has not run the script, because of where the slot is.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::address::Address;

/// Each of these means that the script has not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// Another node has the slot.
    Moved(Address),
    /// The slot is moving to another node, which already has the key, or would create it.
    Ask(Address),
    /// The slot is moving, and this node has some of the keys but not all.
    TryAgain,
    /// No node has the slot, or the node is cut off from the others.
    Down,
}

impl Redirect {
    /// `here` is the node that answered.
    pub(super) fn of(error: &RedisError, here: &Address) -> Option<Redirect> {
        let there = || Address::parse(error.detail()?.split_ascii_whitespace().nth(1)?, here);
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => there().map(Redirect::Moved),
            ErrorKind::Server(ServerErrorKind::Ask) => there().map(Redirect::Ask),
            ErrorKind::Server(ServerErrorKind::TryAgain) => Some(Redirect::TryAgain),
            ErrorKind::Server(ServerErrorKind::ClusterDown) => Some(Redirect::Down),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::make_extension_error;

    #[test]
    fn other_errors_are_not_redirects() {
        let error = make_extension_error("OOM".to_owned(), Some("1 two:3".to_owned()));
        assert_eq!(Redirect::of(&error, &Address { host: "one".to_owned(), port: 1 }), None);
    }
}
