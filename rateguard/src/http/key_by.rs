//! What a limit counts by.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum::http::HeaderName;
use axum::http::request::Parts;

use super::setting::Callback;
use crate::key::Key;
use crate::key::parts::Kind;

/// What a limit counts by: which part of a request says whose request it is.
///
/// A request without that part is counted by its address. It is never unlimited, and never shares one quota with all
/// other requests that lack it.
#[derive(Clone)]
pub struct KeyBy(pub(super) Source);

/// Where the key comes from.
#[derive(Clone)]
pub(super) enum Source {
    Ip,
    User,
    Global,
    /// The value of a header, by the kind of such keys: `header.` and the name in lower case.
    Header(Kind),
    /// The value of a cookie: `cookie.` and the name.
    Cookie(Kind),
    /// A captured path parameter: `path.` and the name.
    Path(Kind),
    Head(Callback<Parts, Option<Key>>),
    /// Several together, as one key.
    All(List),
    /// Known once the handler's arguments are there.
    Deferred,
}

/// The parts of a composite key.
#[derive(Clone)]
pub(super) enum List {
    Static(&'static [KeyBy]),
    Shared(Arc<[KeyBy]>),
}

impl Deref for List {
    type Target = [KeyBy];

    fn deref(&self) -> &[KeyBy] {
        match self {
            List::Static(parts) => parts,
            List::Shared(parts) => parts,
        }
    }
}

#[allow(non_upper_case_globals, reason = "they read as the variants of an enum, as in the documentation of others")]
impl KeyBy {
    /// The client's address.
    #[doc(alias = "PeerIpKeyExtractor")]
    #[doc(alias = "get_remote_address")]
    pub const Ip: KeyBy = KeyBy(Source::Ip);

    /// The [`UserId`](super::UserId) in the request's extensions.
    pub const User: KeyBy = KeyBy(Source::User);

    /// One quota for all clients together.
    #[doc(alias = "GlobalKeyExtractor")]
    pub const Global: KeyBy = KeyBy(Source::Global);
}

impl KeyBy {
    /// The value of a header. Only a keyed hash of it is stored.
    ///
    /// A client can write anything into a header, so use this for headers that something in front of the app has verified.
    /// In `authorization`, the case of the scheme and the number of spaces after it do not matter. A header that comes in
    /// several lines is not used: the address counts.
    ///
    /// # Panics
    ///
    /// When `name` is not a valid header name.
    #[expect(clippy::panic, reason = "documented; a layer is made when the program starts, not when a request comes")]
    pub fn header(name: &str) -> KeyBy {
        match HeaderName::try_from(name) {
            Ok(name) => KeyBy(Source::Header(Kind::shared(format!("header.{name}")))),
            Err(error) => panic!("rateguard: KeyBy::header({name:?}): {error}; use one such as \"x-api-key\""),
        }
    }

    /// The value of a cookie, percent-decoded and without quotes around it. Only a keyed hash of it is stored.
    ///
    /// As with headers, nobody has verified it yet, and several cookies of one name are not used.
    pub fn cookie(name: &str) -> KeyBy {
        KeyBy(Source::Cookie(Kind::shared(format!("cookie.{name}"))))
    }

    /// A parameter that the route captures, such as `tenant` of `/tenants/{tenant}/orders`. A route without it answers
    /// `500` and logs why: put the layer on the routes that have it.
    pub fn path(parameter: &str) -> KeyBy {
        KeyBy(Source::Path(Kind::shared(format!("path.{parameter}"))))
    }

    /// What a closure finds in the request's head. `None`: there is nothing to count by, so the address counts.
    #[doc(alias = "KeyExtractor")]
    #[doc(alias = "keyGenerator")]
    #[doc(alias = "key_func")]
    pub fn from_fn(find: impl Fn(&Parts) -> Option<Key> + Send + Sync + 'static) -> KeyBy {
        KeyBy(Source::Head(Callback::shared(find)))
    }

    /// Several together, as one [composite](Key::composite) key: each combination has a quota of its own.
    ///
    /// ```
    /// # use rateguard::KeyBy;
    /// let by = KeyBy::all([KeyBy::User, KeyBy::path("tenant")]);
    /// ```
    pub fn all(parts: impl IntoIterator<Item = KeyBy>) -> KeyBy {
        KeyBy(Source::All(List::Shared(parts.into_iter().collect())))
    }
}

impl KeyBy {
    /// Whether the source, or one of its parts, is such a one.
    fn any(&self, is: fn(&Source) -> bool) -> bool {
        match &self.0 {
            Source::All(parts) => parts.iter().any(|part| part.any(is)),
            source => is(source),
        }
    }

    pub(super) fn needs_path(&self) -> bool {
        self.any(|source| matches!(source, Source::Path(_)))
    }

    pub(super) fn needs_user(&self) -> bool {
        self.any(|source| matches!(source, Source::User))
    }

    pub(super) fn is_deferred(&self) -> bool {
        self.any(|source| matches!(source, Source::Deferred))
    }
}

/// As it is written.
impl fmt::Debug for KeyBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Ip => f.write_str("Ip"),
            Source::User => f.write_str("User"),
            Source::Global => f.write_str("Global"),
            Source::Header(kind) => write!(f, "header({:?})", kind.name()),
            Source::Cookie(kind) => write!(f, "cookie({:?})", kind.name()),
            Source::Path(kind) => write!(f, "path({:?})", kind.name()),
            Source::Head(_) => f.write_str("from_fn(..)"),
            Source::All(parts) => {
                f.write_str("all(")?;
                f.debug_list().entries(parts.iter()).finish()?;
                f.write_str(")")
            }
            Source::Deferred => f.write_str("an expression over the arguments"),
        }
    }
}
