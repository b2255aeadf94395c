//! A key: who is counted.

mod display;
pub(crate) mod encode;
pub(crate) mod parts;
pub(crate) mod prefix;
mod to_key;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

pub use display::KeyDisplay;
use parts::{Kind, Value};
pub use to_key::ToKey;

/// Who a quota is counted for: a client's address, a user, all clients together, or a key of your own.
///
/// Two keys are equal only if they have the same kind and the same value. Two composite keys ([`Key::composite`]) are
/// equal only if all their parts are.
///
/// ```
/// use rateguard::Key;
///
/// let by_plan = Key::composite([Key::user("42"), Key::new("plan", "free")]);
/// assert_ne!(by_plan, Key::user("42"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(pub(crate) Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Repr {
    Global,
    Ip(IpAddr),
    Plain { kind: Kind, value: Value },
    Secret { kind: Kind, value: Value },
    Composite(Box<[Key]>),
}

impl Key {
    /// A client's address. An IPv4 address in IPv6 form (`::ffff:a.b.c.d`) is the IPv4 address. An IPv6 address stands for
    /// its whole network, by default `/64` ([`ipv6_prefix`](crate::RateGuardBuilder::ipv6_prefix)).
    pub fn ip(address: impl Into<IpAddr>) -> Key {
        Key(Repr::Ip(address.into().to_canonical()))
    }

    /// A user, by a verified id.
    pub fn user(id: impl fmt::Display) -> Key {
        Key::new("user", id)
    }

    /// One key for all clients together.
    pub const fn global() -> Key {
        Key(Repr::Global)
    }

    /// A key of your own kind. A short, ordinary `value` is stored as it is; of any other, only a keyed hash.
    pub fn new(kind: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Key {
        Key(Repr::Plain { kind: kind.into().into(), value: Value::text(value) })
    }

    /// A key whose value must not be readable anywhere: only a keyed 128-bit hash of it is stored or logged.
    pub fn secret(kind: impl Into<Cow<'static, str>>, value: impl AsRef<[u8]>) -> Key {
        Key::secret_of(kind.into().into(), value.as_ref())
    }

    /// The same key, with this kind in place of that of expressions.
    pub(crate) fn named(self, kind: &'static str) -> Key {
        match self.0 {
            Repr::Plain { kind: Kind::Known(to_key::EXPRESSION), value } => {
                Key(Repr::Plain { kind: Kind::Known(kind), value })
            }
            repr => Key(repr),
        }
    }

    pub(crate) fn secret_of(kind: Kind, value: &[u8]) -> Key {
        Key(Repr::Secret { kind, value: Value::bytes(value) })
    }

    pub(crate) fn plain_of(kind: Kind, value: impl fmt::Display) -> Key {
        Key(Repr::Plain { kind, value: Value::text(value) })
    }

    /// One key of several parts, in order. A single part is that part itself.
    pub fn composite(parts: impl IntoIterator<Item = Key>) -> Key {
        let mut parts: Vec<Key> = parts.into_iter().collect();
        match parts.len() {
            1 => parts.swap_remove(0),
            _ => Key(Repr::Composite(parts.into_boxed_slice())),
        }
    }

    /// The kind of the key: `"ip"`, `"user"`, `"global"`, `"composite"`, or the kind that it was made with.
    pub fn kind(&self) -> &str {
        match &self.0 {
            Repr::Global => "global",
            Repr::Ip(_) => "ip",
            Repr::Plain { kind, .. } | Repr::Secret { kind, .. } => kind.as_str(),
            Repr::Composite(_) => "composite",
        }
    }
}

/// The same as [`Key::ip`].
impl From<IpAddr> for Key {
    fn from(address: IpAddr) -> Key {
        Key::ip(address)
    }
}

/// Shows addresses and plain values; of a secret, only the kind. For logs, [`Key::display`] shows less.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Global => f.write_str("Key(global)"),
            Repr::Ip(ip) => write!(f, "Key(ip {ip})"),
            Repr::Plain { kind, value } => {
                write!(f, "Key({:?} {:?})", kind.as_str(), value.as_str().unwrap_or_default())
            }
            Repr::Secret { kind, .. } => write!(f, "Key({:?} <secret>)", kind.as_str()),
            Repr::Composite(parts) => f.debug_tuple("Key").field(parts).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_in_ipv6_form_is_the_ipv4_address() {
        let mapped: IpAddr = "::ffff:203.0.113.7".parse().unwrap();
        assert_eq!(Key::ip(mapped), Key::ip([203, 0, 113, 7]));
        assert_eq!(Key::from(mapped), Key::ip([203, 0, 113, 7]));
    }

    #[test]
    fn debug_never_shows_a_secret() {
        let shown = format!("{:?}", Key::composite([Key::secret("header.x-api-key", "hunter2"), Key::user(1)]));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
