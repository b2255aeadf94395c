//! What the limiter is told about HTTP.

use axum::http::Extensions;
use axum::response::IntoResponse;

use super::RateGuardBuilder;
use crate::http::client_ip::{Peer, PeerFn};
use crate::http::denied::Denied;
use crate::http::headers::Headers;
use crate::http::rejection::OnDenied;
use crate::http::setup_error::{OnSetupError, SetupError};

/// Who the client is, and what it is told.
impl RateGuardBuilder {
    /// The proxies in front of this program, whose word about their clients is believed: networks such as `10.0.0.0/8`
    /// or `2001:db8::/32`, single addresses, and the names `loopback` (`127.0.0.0/8`, `::1`) and `private` (RFC 1918:
    /// `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`; RFC 4193: `fc00::/7`) and `unix` (whoever connects to a Unix socket
    /// that the app [listens on](Peer)). Called again, it adds to the list. Default: none, so that the client is the
    /// connection's other end, whatever its headers say.
    ///
    /// For a connection from one of them, the client is read from `X-Forwarded-For`: all of its lines as one list, from
    /// the right, past trusted proxies, to the first other address; where all are trusted, the leftmost. Whatever a
    /// client writes there itself stands left of that, and is not read. If the list is missing or empty, or an element
    /// that would be read is no address, or lies beyond the last 8 KiB, the proxy itself is counted.
    ///
    /// Name only what stands between your clients and you: whoever is in these networks can choose whom it is counted
    /// for. The chapter on [security](crate::guide::security) has the whole table.
    ///
    /// ```
    /// # use rateguard::RateGuard;
    /// let limiter = RateGuard::builder().trusted_proxies(["loopback", "10.0.0.0/8"]).build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.client_ip = self.client_ip.trusted_proxies(networks);
        self
    }

    /// How to find the other end of a connection in a request's extensions. Needed only where the app is served with a
    /// connect info of another type than [`SocketAddr`](std::net::SocketAddr) and [`Peer`], or puts it there in another
    /// way. Where the closure returns `None`, those two are looked for.
    ///
    /// What it returns is the peer of the connection: read no header there. Its word about the client is believed if it is
    /// one of the [`trusted_proxies`](Self::trusted_proxies).
    ///
    /// ```
    /// use axum::extract::ConnectInfo;
    /// use rateguard::{Peer, RateGuard};
    /// use std::net::IpAddr;
    ///
    /// // What the app is served with: `into_make_service_with_connect_info::<Connection>()`.
    /// #[derive(Clone)]
    /// enum Connection {
    ///     Tls { address: IpAddr },
    ///     Unix,
    /// }
    ///
    /// let limiter = RateGuard::builder()
    ///     .peer(|extensions| match extensions.get::<ConnectInfo<Connection>>()?.0 {
    ///         Connection::Tls { address } => Some(Peer::Ip(address)),
    ///         Connection::Unix => Some(Peer::Unix),
    ///     })
    ///     .trusted_proxies(["unix"])
    ///     .build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    ///
    /// An [`IpAddr`](std::net::IpAddr) and a [`SocketAddr`](std::net::SocketAddr) will do as well:
    /// `.peer(|extensions| extensions.get::<TcpConnectInfo>()?.remote_addr())`.
    pub fn peer<P: Into<Peer>>(mut self, find: impl Fn(&Extensions) -> Option<P> + Send + Sync + 'static) -> Self {
        self.client_ip = self.client_ip.peer(PeerFn::new(find));
        self
    }

    /// Read the client from this header, and from no other, when the connection comes from one of the
    /// [`trusted_proxies`](Self::trusted_proxies). For headers with one address that the proxy in front always
    /// overwrites, such as `cf-connecting-ip`, `true-client-ip` or `x-real-ip`. With several values, or one that is no
    /// address, the proxy itself is counted.
    pub fn client_ip_header(mut self, name: impl AsRef<str>) -> Self {
        self.client_ip = self.client_ip.header(name.as_ref());
        self
    }

    /// Read the client from `Forwarded` (RFC 7239) instead of `X-Forwarded-For` when the connection comes from one of
    /// the [`trusted_proxies`](Self::trusted_proxies): the `for` of each element, from the right. A proxy that says
    /// `unknown`, a `_name` or nothing about its client is itself counted in its place.
    pub fn forwarded_header(mut self) -> Self {
        self.client_ip = self.client_ip.forwarded();
        self
    }

    /// Clients that no limit of a layer or an attribute counts: networks such as `10.0.0.0/8` or `2001:db8::/32`, single
    /// addresses, and the names `loopback` and `private`. Called again, it adds to the list. The address is the one that
    /// the limits count by, behind [trusted proxies](Self::trusted_proxies) as well.
    ///
    /// ```
    /// # use rateguard::RateGuard;
    /// let limiter = RateGuard::builder().exempt(["loopback", "192.0.2.0/24"]).build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    #[doc(alias = "allowlist")]
    #[doc(alias = "whitelist")]
    pub fn exempt(mut self, clients: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        match self.http.exempt.and(clients) {
            Ok(exempt) => {
                self.http.exempt = exempt;
                self
            }
            Err(error) => self.mistaken(error),
        }
    }

    /// Which headers tell clients about their quota. Default [`Headers::X_RATE_LIMIT`]. A layer may choose
    /// [for itself](crate::RateLimitLayer::headers).
    pub fn headers(mut self, headers: Headers) -> Self {
        self.http.headers = headers;
        self
    }

    /// What a refused request is answered, in place of the problem document: the closure's response, with its status and
    /// its body. `Retry-After` and `Cache-Control: no-store` are added if it has none of its own, and the quota headers as
    /// to any other response.
    ///
    /// It answers for all limits of layers and attributes that have this limiter, unless a layer answers
    /// [for itself](crate::RateLimitLayer::on_denied). It does not answer for a program that is not set up for its limits
    /// (`500`), nor for what a handler makes of a [`Decision`](crate::Decision) itself.
    ///
    /// A request that is allowed pays nothing for it; but where a limit waits for the handler's arguments, the request's
    /// head is copied before they are extracted, since it may be needed.
    ///
    /// ```
    /// use axum::Json;
    /// use rateguard::{Denied, RateGuard};
    ///
    /// let limiter = RateGuard::builder()
    ///     .on_denied(|denied: &Denied| {
    ///         let seconds = denied.retry_after().map(|wait| wait.as_secs() + 1);
    ///         (denied.status(), Json(serde_json::json!({ "error": "slow_down", "retry_in": seconds })))
    ///     })
    ///     .build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    pub fn on_denied<R: IntoResponse>(mut self, answer: impl Fn(&Denied) -> R + Send + Sync + 'static) -> Self {
        self.http.on_denied = Some(OnDenied::new(answer));
        self
    }

    /// The answer to a request that the program is not set up for, in place of a `500` in plain text: the closure's
    /// response, for APIs whose errors all have one format. Each mistake is logged once in any case.
    ///
    /// It cannot answer where a handler has the attribute and the app has no layer, since there is no limiter then.
    ///
    /// ```
    /// use axum::Json;
    /// use axum::http::StatusCode;
    /// use rateguard::RateGuard;
    ///
    /// let limiter = RateGuard::builder()
    ///     .on_setup_error(|_| (StatusCode::INTERNAL_SERVER_ERROR, Json(serde_json::json!({ "error": "internal" }))))
    ///     .build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    pub fn on_setup_error<R: IntoResponse>(
        mut self,
        answer: impl Fn(&SetupError) -> R + Send + Sync + 'static,
    ) -> Self {
        self.http.on_setup_error = Some(OnSetupError::new(answer));
        self
    }
}
