//! From a request's head to the key that it is counted for.

use axum::http::request::Parts;

use crate::key::{IntoKey, Key};

/// Where a handler's limit takes its key from.
#[derive(Clone, Copy, Debug)]
pub enum KeySource {
    /// The client's address.
    Ip,
    /// The [`UserId`](super::UserId) that an authentication layer left in the request's extensions.
    User,
    /// One bucket for all.
    Global,
    /// The value of a header. The name is lower case.
    Header(&'static str),
    /// The value of a cookie.
    Cookie(&'static str),
    /// A captured path parameter.
    Path(&'static str),
    /// Read from the request's head by the user's closure.
    Head(fn(&Parts) -> Option<Key>),
    /// Several together, as one identity.
    Composite(&'static [KeySource]),
    /// Known once the handler's arguments are there.
    Late,
}

impl KeySource {
    pub(crate) const fn is_late(&self) -> bool {
        match self {
            KeySource::Late => true,
            KeySource::Composite(parts) => {
                let mut rest = *parts;
                while let [part, tail @ ..] = rest {
                    if part.is_late() {
                        return true;
                    }
                    rest = tail;
                }
                false
            }
            _ => false,
        }
    }
}

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_key<'a, M, K: IntoKey<M>>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> K) -> Option<Key> {
    closure(parts).to_key()
}
