//! Reads keys and other settings of limits from a request's head.

use std::cell::OnceCell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use smallvec::SmallVec;

use super::client_ip::Found;
use super::context::Ask;
use super::exempt::Exempt;
use super::key_by::{KeyBy, Source};
use super::limit::HttpLimit;
use super::normalize;
use super::setting::Setting;
use super::settings::Settings;
use super::setup_error::SetupError;
use super::user_id::UserId;
use crate::key::parts::Kind;
use crate::key::{Key, ToKey};

/// A request's head, with what its route captured.
pub(super) struct Head<'r> {
    parts: &'r Parts,
    path: Option<&'r RawPathParams>,
    /// Who limits it, for messages: a handler's name, or that it is a layer.
    limited_by: &'static str,
    settings: &'r Settings,
    /// Looked up once, if at all.
    address: OnceCell<Result<Found, SetupError>>,
}

/// What a request's head says about a limit.
pub(super) enum Said<'l> {
    /// The limit does not count the request.
    Skipped,
    Counted(Ask<'l>),
    /// The handler's arguments have the rest to say.
    Deferred,
}

impl<'r> Head<'r> {
    pub(super) fn new(
        parts: &'r Parts,
        path: Option<&'r RawPathParams>,
        limited_by: &'static str,
        settings: &'r Settings,
    ) -> Head<'r> {
        Head { parts, path, limited_by, settings, address: OnceCell::new() }
    }

    pub(super) fn says<'l>(&self, limit: &'l HttpLimit) -> Result<Said<'l>, SetupError> {
        if !limit.counts(&self.parts.method)
            || self.is_exempt(&limit.exempt)?
            || self.is_exempt(&self.settings.exempt)?
        {
            return Ok(Said::Skipped);
        }
        if limit.is_deferred() {
            return Ok(Said::Deferred);
        }
        if limit.skip.of(self.parts).unwrap_or(false) {
            return Ok(Said::Skipped);
        }
        let cost = || limit.cost.of(self.parts).unwrap_or(1);
        Ok(self.ask(limit, cost)?.map_or(Said::Skipped, Said::Counted))
    }

    /// What is asked of a limit that counts the request; `None` if the request has no quota there.
    fn ask<'l>(&self, limit: &'l HttpLimit, cost: impl FnOnce() -> u32) -> Result<Option<Ask<'l>>, SetupError> {
        let quota = match &limit.quota {
            None => None,
            Some(quota) => match quota.of(self.parts).flatten() {
                Some(quota) => Some(quota),
                None => return Ok(None),
            },
        };
        Ok(Some(Ask::new(limit, quota, self.key(&limit.key)?, cost())))
    }

    /// What is asked of a limit about the client alone, whichever request it makes. `None` if that is not known, or the
    /// client is not limited there.
    pub(super) fn ask_about_client<'l>(&self, limit: &'l HttpLimit) -> Result<Option<Ask<'l>>, SetupError> {
        let quota_is_deferred = limit.quota.as_ref().is_some_and(Setting::is_deferred);
        if limit.key.is_deferred() || limit.key.needs_path() || quota_is_deferred {
            return Ok(None);
        }
        if self.is_exempt(&limit.exempt)? || self.is_exempt(&self.settings.exempt)? {
            return Ok(None);
        }
        self.ask(limit, || 1)
    }

    pub(super) fn parts(&self) -> &Parts {
        self.parts
    }

    /// Whether the client is in one of these networks. A proxy may be, but not whoever comes through it unnamed.
    pub(super) fn is_exempt(&self, networks: &Exempt) -> Result<bool, SetupError> {
        if networks.is_empty() {
            return Ok(false);
        }
        let Found { address, is_guess } = self.found()?;
        Ok(!is_guess && networks.contains(address))
    }

    /// The client's address, if a limit has asked for it.
    pub(super) fn known_address(&self) -> Option<IpAddr> {
        self.address.get()?.as_ref().ok().map(|found| found.address)
    }

    /// The client's address.
    pub(super) fn address(&self) -> Result<IpAddr, SetupError> {
        Ok(self.found()?.address)
    }

    fn found(&self) -> Result<Found, SetupError> {
        let find = || {
            let peer = self.settings.client_ip.peer(self.parts)?;
            Ok(self.settings.client_ip.find(peer, &self.parts.headers))
        };
        self.address.get_or_init(find).clone()
    }

    /// The parts of a key; `None` for those that the handler's arguments will say.
    pub(super) fn key_parts(&self, by: &KeyBy, out: &mut SmallVec<[Option<Key>; 2]>) -> Result<(), SetupError> {
        match &by.0 {
            Source::Deferred => out.push(None),
            Source::All(parts) => parts.iter().try_for_each(|part| self.key_parts(part, out))?,
            _ => out.push(Some(self.key(by)?)),
        }
        Ok(())
    }

    fn key(&self, by: &KeyBy) -> Result<Key, SetupError> {
        let found = match &by.0 {
            Source::Ip | Source::Deferred => return self.by_ip(),
            Source::Global => Some(Key::global()),
            Source::User => self.by_user(),
            Source::Header(kind) => self.by_header(kind),
            Source::Cookie(kind) => self.by_cookie(kind),
            Source::Path(kind) => Some(self.by_path(kind)?),
            Source::Head(find) => find.call(self.parts),
            Source::All(parts) => {
                let keys = parts.iter().map(|part| self.key(part)).collect::<Result<Vec<_>, _>>()?;
                Some(Key::composite(keys))
            }
        };
        found.map_or_else(|| self.fallback(), Ok)
    }

    /// The client's address, where the key asked for is missing.
    fn fallback(&self) -> Result<Key, SetupError> {
        self.settings.client_ip.key_missing();
        self.by_ip()
    }

    pub(super) fn by_ip(&self) -> Result<Key, SetupError> {
        self.address().map(Key::ip)
    }

    fn by_user(&self) -> Option<Key> {
        let user = self.parts.extensions.get::<UserId>()?.as_str();
        if user.is_empty() { None } else { Some(Key::user(user)) }
    }

    fn by_header(&self, kind: &Kind) -> Option<Key> {
        let (headers, name) = (&self.parts.headers, kind.name());
        if matches!(name, "authorization" | "proxy-authorization") {
            return normalize::credentials(headers, name).map(|value| Key::secret_of(kind.clone(), &value));
        }
        normalize::header(headers, name).map(|value| Key::secret_of(kind.clone(), value))
    }

    fn by_cookie(&self, kind: &Kind) -> Option<Key> {
        let value = normalize::cookie(&self.parts.headers, kind.name())?;
        Some(Key::secret_of(kind.clone(), &value))
    }

    fn by_path(&self, kind: &Kind) -> Result<Key, SetupError> {
        let name = kind.name();
        let captured = self.path.and_then(|path| path.iter().find(|(key, _)| *key == name));
        let Some((_, value)) = captured else {
            return Err(SetupError::parameter_not_captured(self.limited_by, name));
        };
        Ok(Key::plain_of(kind.clone(), value))
    }
}

/// What the route captured from the path, if one of these limits needs it. The error is axum's own answer to a path that is
/// not valid UTF-8, which is the client's mistake.
#[expect(clippy::result_large_err, reason = "an answer, which a box would cost an allocation")]
pub(super) fn captured(parts: &mut Parts, limits: &[HttpLimit]) -> Result<Option<RawPathParams>, Response> {
    if !limits.iter().any(|limit| limit.key.needs_path()) {
        return Ok(None);
    }
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

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_key<'a, M, K: ToKey<M>>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> K) -> Option<Key> {
    closure(parts).to_key()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;
    use axum::http::Request;

    use super::*;
    use crate::quota::Quota;

    fn key(parts: &Parts, settings: &Settings, by: KeyBy) -> Option<Key> {
        let limit = HttpLimit::new("test", Quota::per_minute(1), by);
        match Head::new(parts, None, "test", settings).says(&limit) {
            Ok(Said::Counted(Ask { key, cost: 1, .. })) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn where_the_key_is_missing_the_address_counts_and_that_is_counted() {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        let settings = Settings::default();
        let client_ip = &settings.client_ip;
        let address = Key::ip([192, 0, 2, 1]);
        for (by, missing) in
            [(KeyBy::Ip, 0), (KeyBy::User, 1), (KeyBy::header("x-api-key"), 2), (KeyBy::from_fn(|_| None), 3)]
        {
            assert_eq!(key(&parts, &settings, by.clone()), Some(address.clone()), "{by:?}");
            assert_eq!(client_ip.key_missing_count(), missing, "{by:?}");
        }
        let both = KeyBy::all([KeyBy::Ip, KeyBy::cookie("session")]);
        assert_eq!(key(&parts, &settings, both), Some(Key::composite([address.clone(), address])));
        assert_eq!(client_ip.key_missing_count(), 4);
        parts.extensions.insert(UserId::new(7));
        assert_eq!(key(&parts, &settings, KeyBy::User), Some(Key::user(7)));
        assert_eq!(client_ip.key_missing_count(), 4);
    }
}
