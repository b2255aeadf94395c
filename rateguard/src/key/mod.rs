//! Who a request is counted for.

pub(crate) mod encode;
pub(crate) mod parts;
pub(crate) mod prefix;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use parts::{Kind, Value};

/// The identity that a quota is counted for.
///
/// Two keys are the same identity only if they have the same kind and the same value; a key of several parts
/// ([`Key::composite`]) is the same only if every part is.
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
    /// A client's address. An IPv4 address written as IPv6 (`::ffff:a.b.c.d`) is the IPv4 address; an IPv6 address
    /// stands for its whole network, `/64` unless the limiter says otherwise.
    pub fn ip(address: impl Into<IpAddr>) -> Key {
        Key(Repr::Ip(address.into().to_canonical()))
    }

    /// A user, by an identity that was verified.
    pub fn user(id: impl fmt::Display) -> Key {
        Key::new("user", id)
    }

    /// One bucket for all clients together.
    pub const fn global() -> Key {
        Key(Repr::Global)
    }

    /// An identity of the caller's own kind. `value` may appear in Redis in the clear if it is short and ordinary;
    /// otherwise, its keyed hash does.
    pub fn new(kind: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Key {
        Key(Repr::Plain { kind: kind.into().into(), value: Value::text(value) })
    }

    /// An identity that must not be readable anywhere: only a keyed 128-bit hash of it is stored or logged.
    pub fn secret(kind: impl Into<Cow<'static, str>>, value: impl AsRef<[u8]>) -> Key {
        Key::secret_of(kind.into().into(), value.as_ref())
    }

    pub(crate) fn secret_of(kind: Kind, value: &[u8]) -> Key {
        Key(Repr::Secret { kind, value: Value::bytes(value) })
    }

    pub(crate) fn plain_of(kind: Kind, value: impl fmt::Display) -> Key {
        Key(Repr::Plain { kind, value: Value::text(value) })
    }

    /// One identity of several parts, in order.
    pub fn composite(parts: impl IntoIterator<Item = Key>) -> Key {
        let mut parts: Vec<Key> = parts.into_iter().collect();
        match parts.len() {
            1 => parts.swap_remove(0),
            _ => Key(Repr::Composite(parts.into_boxed_slice())),
        }
    }

    /// What sort of identity this is: `"ip"`, `"user"`, `"global"`, `"composite"`, or the kind it was made with.
    pub fn kind(&self) -> &str {
        match &self.0 {
            Repr::Global => "global",
            Repr::Ip(_) => "ip",
            Repr::Plain { kind, .. } | Repr::Secret { kind, .. } => kind.as_str(),
            Repr::Composite(_) => "composite",
        }
    }
}

impl Key {
    /// The same, to be kept. Free for kinds known at compile time.
    pub(crate) fn shared_kind(&self) -> Cow<'static, str> {
        match &self.0 {
            Repr::Global => Cow::Borrowed("global"),
            Repr::Ip(_) => Cow::Borrowed("ip"),
            Repr::Plain { kind, .. } | Repr::Secret { kind, .. } => kind.to_cow(),
            Repr::Composite(_) => Cow::Borrowed("composite"),
        }
    }
}

/// Shows addresses and plain values; a secret shows its kind alone.
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

/// What can say who a request is counted for: anything that implements `Display`, a [`Key`], an `Option` of either
/// (`None`: no identity, so the client's address counts), and tuples of these (one composite identity).
///
/// `Marker` is inferred; it only tells the implementations apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say who is being counted",
    label = "not a key",
    note = "the key of a rate limit is anything that implements `Display`, a `rateguard::Key`, an `Option` of either, or a tuple of these",
    note = "name the field that identifies the client, such as `key = user.id`, or build one with `rateguard::Key::new(\"kind\", value)`"
)]
pub trait IntoKey<Marker> {
    /// The key, or `None` where there is no identity.
    fn to_key(&self) -> Option<Key>;
}

/// Markers of the implementations of [`IntoKey`].
pub(crate) mod marker {
    #[derive(Debug)]
    pub struct ByDisplay;
    #[derive(Debug)]
    pub struct ByKey;
    #[derive(Debug)]
    pub struct ByReference<M>(M);
    #[derive(Debug)]
    pub struct Optional<M>(M);
    #[derive(Debug)]
    pub struct Composite<M>(M);
}

/// The kind of the keys that come from an expression or a closure of the user's.
const EXPRESSION: &str = "key";

impl<T: fmt::Display + ?Sized> IntoKey<marker::ByDisplay> for T {
    fn to_key(&self) -> Option<Key> {
        Some(Key::new(EXPRESSION, self))
    }
}

impl IntoKey<marker::ByKey> for Key {
    fn to_key(&self) -> Option<Key> {
        Some(self.clone())
    }
}

impl<M, T: IntoKey<M>> IntoKey<marker::Optional<M>> for Option<T> {
    fn to_key(&self) -> Option<Key> {
        self.as_ref()?.to_key()
    }
}

// A reference to something displayable is displayable itself; these are the references to what is not.
impl IntoKey<marker::ByReference<marker::ByKey>> for &Key {
    fn to_key(&self) -> Option<Key> {
        (**self).to_key()
    }
}

impl<M, T: IntoKey<M>> IntoKey<marker::ByReference<marker::Optional<M>>> for &Option<T> {
    fn to_key(&self) -> Option<Key> {
        (**self).to_key()
    }
}

macro_rules! composite {
    ($($part:ident $marker:ident),+) => {
        impl<$($part, $marker),+> IntoKey<marker::Composite<($($marker,)+)>> for ($($part,)+)
        where
            $($part: IntoKey<$marker>),+
        {
            #[allow(non_snake_case, reason = "the type's name is the field's")]
            fn to_key(&self) -> Option<Key> {
                let ($($part,)+) = self;
                Some(Key::composite([$($part.to_key()?),+]))
            }
        }
    };
}
composite!(A M1);
composite!(A M1, B M2);
composite!(A M1, B M2, C M3);
composite!(A M1, B M2, C M3, D M4);
composite!(A M1, B M2, C M3, D M4, E M5);
composite!(A M1, B M2, C M3, D M4, E M5, F M6);

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "as an expression is")]
    fn key<M>(value: impl IntoKey<M>) -> Option<Key> {
        value.to_key()
    }

    #[test]
    fn anything_displayable_a_key_an_option_and_a_tuple_are_keys() {
        let text = Key::new("key", "7");
        assert_eq!(key(7_u64), Some(text.clone()));
        assert_eq!(key("7"), Some(text.clone()));
        assert_eq!(key(String::from("7")), Some(text.clone()));
        assert_eq!(key(Key::user(7)), Some(Key::user("7")));
        assert_eq!(key(&Key::user(7)), Some(Key::user("7")));
        assert_eq!(key(Some(7)), Some(text.clone()));
        assert_eq!(key(None::<&str>), None);
        assert_eq!(key(&Some(Key::global())), Some(Key::global()));
        assert_eq!(key(("7", Key::user(1))), Some(Key::composite([text, Key::user(1)])));
        assert_eq!(key(("7", None::<&str>)), None);
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address() {
        let mapped: IpAddr = "::ffff:203.0.113.7".parse().unwrap();
        assert_eq!(Key::ip(mapped), Key::ip([203, 0, 113, 7]));
    }

    #[test]
    fn debug_never_shows_a_secret() {
        let shown = format!("{:?}", Key::composite([Key::secret("header.x-api-key", "hunter2"), Key::user(1)]));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
