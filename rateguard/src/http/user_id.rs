//! The user that an authentication layer found.

use std::fmt;
use std::sync::Arc;

/// Who sends the request, as an authentication layer found out.
///
/// The layer puts it into the request's extensions. From then on `key = "user"` and [`KeyBy::User`](super::KeyBy::User)
/// count by it. The authentication layer must run before the rate limit does.
///
/// ```
/// # let mut request = axum::extract::Request::new(axum::body::Body::empty());
/// request.extensions_mut().insert(rateguard::UserId::new(42));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// A user by anything that can be displayed: a number, a UUID, a name. An empty text does not identify anybody: the
    /// client's address is counted instead, so that users without a name do not share one quota.
    pub fn new(id: impl fmt::Display) -> UserId {
        UserId(id.to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows that there is one, not who.
impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId")
    }
}
