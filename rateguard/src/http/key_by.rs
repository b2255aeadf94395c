//! What a layer's limit counts by.

use std::fmt;
use std::sync::Arc;

use axum::extract::RawPathParams;
use axum::http::HeaderName;
use axum::http::request::Parts;

use super::extract::{by_cookie, by_header, by_ip, by_ip_instead, by_path, by_user, named};
use super::setup_error::Misuse;
use crate::http::client_ip::ClientIp;
use crate::key::Key;
use crate::key::parts::Kind;

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
    /// The value of a header, and the kind of such keys. See [`KeyBy::header`].
    #[doc(hidden)]
    Header(HeaderName, Arc<str>),
    /// The value of a cookie, by the kind of such keys. See [`KeyBy::cookie`].
    #[doc(hidden)]
    Cookie(Arc<str>),
    /// A captured path parameter, by the kind of such keys. See [`KeyBy::path`].
    #[doc(hidden)]
    Path(Arc<str>),
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
    /// use it for headers that something in front has verified. Of `authorization`, the scheme's case and the number of
    /// spaces after it do not matter. A header that comes in several lines is no identity: the address counts.
    ///
    /// # Panics
    ///
    /// When `name` is no header name.
    #[expect(clippy::panic, reason = "documented; a layer is made when the program starts, not when a request comes")]
    pub fn header(name: &str) -> KeyBy {
        match HeaderName::try_from(name) {
            Ok(name) => {
                let kind = format!("header.{name}").into();
                KeyBy::Header(name, kind)
            }
            Err(error) => panic!("rateguard: KeyBy::header({name:?}): {error}; use one such as \"x-api-key\""),
        }
    }

    /// The value of a cookie, percent-decoded and without quotes around it. Only a keyed hash of it is stored, and what is
    /// true of headers is true of cookies: nobody has verified it yet, and several of one name are no identity.
    pub fn cookie(name: &str) -> KeyBy {
        KeyBy::Cookie(format!("cookie.{name}").into())
    }

    /// A parameter that the route captures, such as `tenant` of `/tenants/{tenant}/orders`. A route without it answers
    /// `500` and logs why: put the layer on the routes that have it.
    pub fn path(parameter: &str) -> KeyBy {
        KeyBy::Path(format!("path.{parameter}").into())
    }

    /// What a closure finds in the request's head. `None`: no identity there, so the address counts.
    pub fn from_fn(find: impl Fn(&Parts) -> Option<Key> + Send + Sync + 'static) -> KeyBy {
        KeyBy::Head(HeadFn(Arc::new(find)))
    }

    pub(super) fn needs_path(&self) -> bool {
        matches!(self, KeyBy::Path(_))
    }

    pub(super) fn key(&self, parts: &Parts, path: Option<&RawPathParams>, client_ip: &ClientIp) -> Result<Key, Misuse> {
        match self {
            KeyBy::Ip => by_ip(parts, client_ip),
            KeyBy::Path(kind) => by_path(path, "a RateLimitLayer", shared(kind)),
            _ => self.found(parts).map_or_else(|| by_ip_instead(parts, client_ip), Ok),
        }
    }

    /// The identity, if it is one that a request may lack and does not.
    fn found(&self, parts: &Parts) -> Option<Key> {
        match self {
            KeyBy::Ip | KeyBy::Path(_) => None,
            KeyBy::Global => Some(Key::global()),
            KeyBy::User => by_user(parts),
            KeyBy::Header(name, kind) => by_header(parts, name, shared(kind)),
            KeyBy::Cookie(kind) => by_cookie(parts, shared(kind)),
            KeyBy::Head(HeadFn(find)) => find(parts),
        }
    }
}

fn shared(kind: &Arc<str>) -> Kind {
    Kind::Shared(Arc::clone(kind))
}

impl fmt::Debug for KeyBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyBy::Ip => f.write_str("Ip"),
            KeyBy::Cookie(kind) => write!(f, "cookie({:?})", named(kind)),
            KeyBy::Path(kind) => write!(f, "path({:?})", named(kind)),
            KeyBy::User => f.write_str("User"),
            KeyBy::Global => f.write_str("Global"),
            KeyBy::Header(name, _) => write!(f, "header({:?})", name.as_str()),
            KeyBy::Head(find) => find.fmt(f),
        }
    }
}

impl fmt::Debug for HeadFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("from_fn(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;
    use axum::http::Request;

    use super::*;

    #[test]
    fn where_the_identity_is_missing_the_address_counts_and_that_is_counted() {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        let client_ip = ClientIp::default();
        let address = Key::ip([192, 0, 2, 1]);
        for (by, missing) in
            [(KeyBy::Ip, 0), (KeyBy::User, 1), (KeyBy::header("x-api-key"), 2), (KeyBy::from_fn(|_| None), 3)]
        {
            assert_eq!(by.key(&parts, None, &client_ip).ok(), Some(address.clone()), "{by:?}");
            assert_eq!(client_ip.identity_missing_count(), missing, "{by:?}");
        }
        parts.extensions.insert(crate::UserId::new(7));
        assert_eq!(KeyBy::User.key(&parts, None, &client_ip).ok(), Some(Key::user(7)));
        assert_eq!(client_ip.identity_missing_count(), 3);
    }
}
