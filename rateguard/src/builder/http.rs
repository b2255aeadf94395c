//! The settings for HTTP.

use axum::http::Extensions;
use axum::response::IntoResponse;

use super::RateGuardBuilder;
use crate::http::client_ip::{Peer, PeerFn};
use crate::http::denied::Denied;
use crate::http::headers::Headers;
use crate::http::rejection::OnDenied;
use crate::http::setup_error::{OnSetupError, SetupError};

/// How to find a client's address, and how to answer it.
impl RateGuardBuilder {
    /// The proxies in front of this program whose forwarding headers are trusted. Called again, it adds to the list. The
    /// default is none: the client is the other end of the connection, whatever its headers say. A proxy can be:
    ///
    /// - a network, such as `10.0.0.0/8` or `2001:db8::/32`, or a single address;
    /// - `loopback`: `127.0.0.0/8` and `::1`;
    /// - `private`: `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16` (RFC 1918) and `fc00::/7` (RFC 4193);
    /// - `unix`: every connection to a Unix socket that the app [listens on](Peer).
    ///
    /// For a connection from a trusted proxy, the client is read from `X-Forwarded-For`. All its lines are one list, which
    /// is read from the right: the client is the first address that is not a trusted proxy, or the leftmost if all are
    /// trusted. What a client writes into the header itself is further left, and is not read. If the list is missing or
    /// empty, or if an element that would be read is not an address or lies beyond the last 8 KiB, the proxy is counted.
    ///
    /// Name only proxies that stand between your clients and you: anyone in these networks can choose the address by which
    /// it is counted. The chapter [Behind a proxy](crate::guide::behind_a_proxy) has the whole table.
    ///
    /// ```
    /// # use rateguard::RateGuard;
    /// let limiter = RateGuard::builder().trusted_proxies(["loopback", "10.0.0.0/8"]).build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    #[doc(alias = "SmartIpKeyExtractor")]
    #[doc(alias = "trust proxy")]
    #[doc(alias = "X-Forwarded-For")]
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.client_ip = self.client_ip.trusted_proxies(networks);
        self
    }

    /// How to find the other end of a connection in a request's extensions. You need this only if the app's connect info
    /// is neither a [`SocketAddr`](std::net::SocketAddr) nor a [`Peer`], or is stored in another way. If the closure
    /// returns `None`, the limiter looks for those two.
    ///
    /// The closure returns the peer of the connection, so do not read a header in it. If the peer is one of the
    /// [`trusted_proxies`](Self::trusted_proxies), the limiter reads the client from its header.
    ///
    /// ```
    /// use axum::extract::ConnectInfo;
    /// use rateguard::{Peer, RateGuard};
    /// use std::net::IpAddr;
    ///
    /// // The app is served with `into_make_service_with_connect_info::<Connection>()`.
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
    /// The closure can also return an [`IpAddr`](std::net::IpAddr) or a [`SocketAddr`](std::net::SocketAddr):
    /// `.peer(|extensions| Some(extensions.get::<ConnectInfo<MyType>>()?.0.address))`. tonic's own server needs no closure,
    /// but the feature `tonic`: see the chapter on [gRPC](crate::guide::grpc).
    pub fn peer<P: Into<Peer>>(mut self, find: impl Fn(&Extensions) -> Option<P> + Send + Sync + 'static) -> Self {
        self.client_ip = self.client_ip.peer(PeerFn::new(find));
        self
    }

    /// The only header to read the client from, for connections from [`trusted_proxies`](Self::trusted_proxies). It must
    /// be a header with one address that the proxy always overwrites, such as `cf-connecting-ip`, `true-client-ip` or
    /// `x-real-ip`. If it has several values, or a value that is not an address, the proxy is counted.
    pub fn client_ip_header(mut self, name: impl AsRef<str>) -> Self {
        self.client_ip = self.client_ip.header(name.as_ref());
        self
    }

    /// Reads the client from `Forwarded` (RFC 7239) instead of `X-Forwarded-For`, for connections from
    /// [`trusted_proxies`](Self::trusted_proxies): the `for` of each element, from the right. A proxy that writes
    /// `unknown`, a `_name` or nothing about its client is counted instead of it.
    pub fn forwarded_header(mut self) -> Self {
        self.client_ip = self.client_ip.forwarded();
        self
    }

    /// Clients that no limit of a layer or an attribute counts: networks such as `10.0.0.0/8` or `2001:db8::/32`, single
    /// addresses, and the names `loopback` and `private`. Called again, it adds to the list. Behind
    /// [trusted proxies](Self::trusted_proxies), the client's address is used, not the proxy's; a client whose address the
    /// proxy does not tell in a readable form is not exempt. A proxy that is not trusted stands for all of its clients: one on
    /// this machine would exempt them all as `loopback`.
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

    /// The headers that tell clients about their quota. The default is [`Headers::X_RATE_LIMIT`]. A layer can have
    /// [its own](crate::RateLimitLayer::headers).
    pub fn headers(mut self, headers: Headers) -> Self {
        self.http.headers = headers;
        self
    }

    /// Makes the response to a denied request, instead of the problem document. The status and the body are the closure's.
    /// `Retry-After` and `Cache-Control: no-store` are added unless the response has its own. The quota headers are added
    /// as to any other response.
    ///
    /// The closure answers for all limits of this limiter's layers and attributes, unless a layer has
    /// [its own](crate::RateLimitLayer::on_denied). It is not called for a setup error (`500`), nor if a handler answers
    /// according to a [`Decision`](crate::Decision) itself. It answers calls of [gRPC](crate::guide::grpc) too; for them,
    /// [`Denied::default_response`] is a status of gRPC.
    ///
    /// It costs an allowed request nothing, with one exception: for a deferred limit, the request's head is copied before
    /// the arguments are extracted, because the closure may need it.
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
    #[doc(alias = "error_handler")]
    pub fn on_denied<R: IntoResponse>(mut self, answer: impl Fn(&Denied) -> R + Send + Sync + 'static) -> Self {
        self.http.on_denied = Some(OnDenied::new(answer));
        self
    }

    /// Makes the response to a request that meets a setup error, instead of a `500` in plain text. For APIs whose errors all
    /// have one format. Each setup error is logged once in any case.
    ///
    /// If a handler has the attribute but the app has no layer, there is no limiter, and the closure is not called.
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
