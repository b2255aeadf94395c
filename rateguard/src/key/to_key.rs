//! The values that can be the key of a limit.

use std::fmt;

use super::Key;

/// A value that can be the key of a limit: anything that implements `Display`, a [`Key`], an `Option` of either (`None`: the
/// client's address is counted), or a tuple of these (one composite key).
///
/// `Marker` is inferred. It only distinguishes the implementations.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say who is being counted",
    label = "not a key",
    note = "the key of a rate limit is anything that implements `Display`, a `rateguard::Key`, an `Option` of either, or a tuple of these",
    note = "name the field that identifies the client, such as `key = user.id`, or build one with `rateguard::Key::new(\"kind\", value)`"
)]
pub trait ToKey<Marker> {
    /// The key, or `None` if there is none.
    fn to_key(&self) -> Option<Key>;
}

/// Markers for the implementations of [`ToKey`].
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

/// The kind of the keys that come from a user's expression or closure.
pub(super) const EXPRESSION: &str = "key";

impl<T: fmt::Display + ?Sized> ToKey<marker::ByDisplay> for T {
    fn to_key(&self) -> Option<Key> {
        Some(Key::new(EXPRESSION, self))
    }
}

impl ToKey<marker::ByKey> for Key {
    fn to_key(&self) -> Option<Key> {
        Some(self.clone())
    }
}

impl<M, T: ToKey<M>> ToKey<marker::Optional<M>> for Option<T> {
    fn to_key(&self) -> Option<Key> {
        self.as_ref()?.to_key()
    }
}

// References to types with `Display` implement `Display` themselves. These implementations are for references to the others.
impl ToKey<marker::ByReference<marker::ByKey>> for &Key {
    fn to_key(&self) -> Option<Key> {
        (**self).to_key()
    }
}

impl<M, T: ToKey<M>> ToKey<marker::ByReference<marker::Optional<M>>> for &Option<T> {
    fn to_key(&self) -> Option<Key> {
        (**self).to_key()
    }
}

macro_rules! composite {
    ($($part:ident $marker:ident),+) => {
        impl<$($part, $marker),+> ToKey<marker::Composite<($($marker,)+)>> for ($($part,)+)
        where
            $($part: ToKey<$marker>),+
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
    fn key<M>(value: impl ToKey<M>) -> Option<Key> {
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
}
