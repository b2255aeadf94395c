//! What a layer's limit counts by.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderName;
use axum::http::request::Parts;

use super::identity::{by_header, by_ip, by_user};
use super::misuse::Misuse;
use crate::key::Key;

/// What a limit of a [`RateLimitLayer`](super::RateLimitLayer) counts by.
///
/// A request without the identity asked for is counted by its address: never unlimited, and never in one bucket with
/// all others that lack it.
#[derive(Clone)]
#[non_exhaustive]
pub enum KeyBy {
    /// The client's address.
    Ip,
    /// The [`UserId`](super::UserId) in the request's extensions.
    User,
    /// One bucket for all clients together.
    Global,
    /// The value of a header. See [`KeyBy::header`].
    #[doc(hidden)]
    Header(HeaderName),
    /// A closure. See [`KeyBy::from_fn`].
    #[doc(hidden)]
    Head(HeadFn),
}

/// A user's closure over the request's head.
#[doc(hidden)]
#[derive(Clone)]
#[allow(clippy::type_complexity, reason = "a closure over the head, once")]
pub struct HeadFn(Arc<dyn Fn(&Parts) -> Option<Key> + Send + Sync>);

impl KeyBy {
    /// The value of a header. Only a keyed hash of it is stored. What a client may write there freely is no identity:
    /// use it for headers that something in front has verified.
    ///
    /// # Panics
    ///
    /// When `name` is no header name.
    #[expect(clippy::panic, reason = "documented; a layer is made when the program starts, not when a request comes")]
    pub fn header(name: &str) -> KeyBy {
        match HeaderName::try_from(name) {
            Ok(name) => KeyBy::Header(name),
            Err(error) => panic!("rateguard: KeyBy::header({name:?}): {error}; use one such as \"x-api-key\""),
        }
    }

    /// What a closure finds in the request's head. `None`: no identity there, so the address counts.
    pub fn from_fn(find: impl Fn(&Parts) -> Option<Key> + Send + Sync + 'static) -> KeyBy {
        KeyBy::Head(HeadFn(Arc::new(find)))
    }

    pub(super) fn key(&self, parts: &Parts) -> Result<Key, Misuse> {
        let found = match self {
            KeyBy::Ip => None,
            KeyBy::Global => Some(Key::global()),
            KeyBy::User => by_user(parts),
            KeyBy::Header(name) => by_header(parts, name.as_str()),
            KeyBy::Head(HeadFn(find)) => find(parts),
        };
        found.map_or_else(|| by_ip(parts), Ok)
    }
}

impl fmt::Debug for KeyBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyBy::Ip => f.write_str("Ip"),
            KeyBy::User => f.write_str("User"),
            KeyBy::Global => f.write_str("Global"),
            KeyBy::Header(name) => write!(f, "header({:?})", name.as_str()),
            KeyBy::Head(find) => find.fmt(f),
        }
    }
}

impl fmt::Debug for HeadFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("from_fn(..)")
    }
}
