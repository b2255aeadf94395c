//! From a request's head to the key that it is counted for.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::AsHeaderName;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::normalize;
use super::peer::peer;
use super::setup_error::Misuse;
use crate::http::client_ip::ClientIp;
use crate::key::parts::Kind;
use crate::key::{IntoKey, Key};

/// Where a handler's limit takes its key from.
#[derive(Clone, Copy, Debug)]
pub enum KeySource {
    /// The client's address.
    Ip,
    /// The [`UserId`] that an authentication layer left in the request's extensions.
    User,
    /// One bucket for all.
    Global,
    /// The value of a header, by the kind that such a key has: `header.` and the name in lower case.
    Header(&'static str),
    /// The value of a cookie: `cookie.` and the name.
    Cookie(&'static str),
    /// A captured path parameter: `path.` and the name.
    Path(&'static str),
    /// Read from the request's head by the user's closure.
    Head(fn(&Parts) -> Option<Key>),
    /// Several together, as one identity.
    Composite(&'static [KeySource]),
    /// Known once the handler's arguments are there.
    Late,
}

impl KeySource {
    pub(super) fn needs_path(&self) -> bool {
        match self {
            KeySource::Path(_) => true,
            KeySource::Composite(parts) => parts.iter().any(KeySource::needs_path),
            _ => false,
        }
    }

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

/// Who sends the request, as an authentication layer found out.
///
/// The layer puts it into the request's extensions, and from then on `key = "user"` and
/// [`KeyBy::User`](super::KeyBy::User) count by it. It must run before the rate limit does.
///
/// ```
/// # let mut request = axum::extract::Request::new(axum::body::Body::empty());
/// request.extensions_mut().insert(rateguard::UserId::new(42));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// A user by anything that can be written down: a number, a UUID, a name. An empty text is no identity: the client's
    /// address is counted, so that all users without a name do not share one quota.
    pub fn new(id: impl fmt::Display) -> UserId {
        UserId(id.to_string().into())
    }

    /// The identity as text.
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

/// The client's address.
pub(super) fn by_ip(parts: &Parts, client_ip: &ClientIp) -> Result<Key, Misuse> {
    let peer = peer(&parts.extensions, client_ip)?;
    Ok(Key::ip(client_ip.address(peer, &parts.headers)))
}

/// The client's address, where another identity is missing.
pub(super) fn by_ip_instead(parts: &Parts, client_ip: &ClientIp) -> Result<Key, Misuse> {
    client_ip.identity_missing();
    by_ip(parts, client_ip)
}

pub(super) fn by_user(parts: &Parts) -> Option<Key> {
    let user = parts.extensions.get::<UserId>()?;
    if user.0.is_empty() { None } else { Some(Key::user(&user.0)) }
}

pub(super) fn by_header(parts: &Parts, name: impl AsHeaderName, kind: Kind) -> Option<Key> {
    if matches!(named(kind.as_str()), "authorization" | "proxy-authorization") {
        return normalize::credentials(&parts.headers, name).map(|value| Key::secret_of(kind, &value));
    }
    normalize::header(&parts.headers, name).map(|value| Key::secret_of(kind, value))
}

pub(super) fn by_cookie(parts: &Parts, kind: Kind) -> Option<Key> {
    let value = normalize::cookie(&parts.headers, named(kind.as_str()))?;
    Some(Key::secret_of(kind, &value))
}

/// The name in a kind such as `header.x-api-key`.
pub(super) fn named(kind: &str) -> &str {
    kind.split_once('.').map_or(kind, |(_, name)| name)
}

/// What the route captured from the path, if anything. The error is axum's own answer to a path that is not valid UTF-8,
/// which is the client's mistake.
#[expect(clippy::result_large_err, reason = "an answer, which a box would cost an allocation")]
pub(super) fn captured(parts: &mut Parts) -> Result<Option<RawPathParams>, Response> {
    // It looks into the extensions and waits for nothing.
    let mut captured = pin!(RawPathParams::from_request_parts(parts, &()));
    match captured.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(captured)) => Ok(Some(captured)),
        Poll::Ready(Err(rejection @ RawPathParamsRejection::InvalidUtf8InPathParam(_))) => {
            Err(rejection.into_response())
        }
        Poll::Ready(Err(_)) | Poll::Pending => Ok(None),
    }
}

pub(super) fn by_path(path: Option<&RawPathParams>, who: &'static str, kind: Kind) -> Result<Key, Misuse> {
    let name = named(kind.as_str());
    match path.and_then(|path| path.iter().find(|(key, _)| *key == name)) {
        Some((_, value)) => Ok(Key::plain_of(kind, value)),
        None => Err(Misuse::ParameterNotCaptured { handler: who, parameter: name.to_owned().into() }),
    }
}

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_key<'a, M, K: IntoKey<M>>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> K) -> Option<Key> {
    closure(parts).to_key()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use axum::extract::{ConnectInfo, FromRequestParts};
    use axum::http::Request;

    use super::*;
    use crate::http::context::Exchange;
    use crate::http::guard::{Guard, Late, Limits};
    use crate::http::limit::Rule;
    use crate::{Policy, Quota, RateGuard};

    const POLICY: Policy = Policy::new("test", Quota::sliding_window(10, Duration::from_secs(60)));

    struct FromTheHead;
    impl Limits for FromTheHead {
        const HANDLER: &'static str = "test";
        const RULES: &'static [Rule] = &[
            Rule::new(POLICY, KeySource::Ip),
            Rule::new(POLICY, KeySource::Header("header.x-api-key")),
            Rule::new(POLICY, KeySource::Composite(&[KeySource::Ip, KeySource::Cookie("cookie.session")])),
        ];
    }

    struct FromTheArguments;
    impl Limits for FromTheArguments {
        const HANDLER: &'static str = "test";
        const RULES: &'static [Rule] = &[Rule::new(POLICY, KeySource::Late)];
    }

    fn request(limiter: &RateGuard) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        parts.extensions.insert(Exchange::new(limiter.clone(), None, false, None));
        parts
    }

    #[tokio::test]
    async fn each_identity_that_a_handlers_limit_misses_is_counted_once() {
        let limiter = RateGuard::memory();
        let missing = || limiter.client_ip().identity_missing_count();
        Guard::<FromTheHead>::from_request_parts(&mut request(&limiter), &()).await.unwrap();
        assert_eq!(missing(), 2);

        let guard = Guard::<FromTheArguments>::from_request_parts(&mut request(&limiter), &()).await.unwrap();
        assert_eq!(missing(), 2);
        guard.settle([Late::rule(0).key(None)]).await.unwrap();
        assert_eq!(missing(), 3);

        let guard = Guard::<FromTheArguments>::from_request_parts(&mut request(&limiter), &()).await.unwrap();
        guard.settle([Late::rule(0).key(Some(Key::user(1)))]).await.unwrap();
        assert_eq!(missing(), 3);
    }
}
