//! The builder.

mod quotas;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Extensions;
use axum::response::IntoResponse;

use crate::clock::{Clock, TimeSource};
use crate::error::ConfigError;
use crate::http::client_ip::{self, ClientIp, Peer, PeerFn};
use crate::http::denied::{Denied, OnDenied};
use crate::http::headers::Headers;
use crate::key::encode::KeyWriter;
use crate::key::prefix::Prefixes;
use crate::limiter::{RateGuard, Settings, Store};
use crate::policy::OnError;
use crate::quota::Quota;
use crate::store::location::Target;
use crate::store::memory::MemoryStore;
#[cfg(feature = "_shared")]
use crate::store::remote::SharedStore;

const DEADLINE: Duration = Duration::from_millis(100);
const LONGEST_DEADLINE: Duration = Duration::from_secs(60);
const MAX_KEYS: usize = 1_000_000;
const DENY_CACHE: Duration = Duration::from_secs(1);
/// All servers of a deployment agree on it without being told.
const SECRET: &[u8] = b"rateguard";

/// Settings of a [`RateGuard`]. Nothing is checked, and nothing is connected, before [`build`](Self::build).
#[must_use = "a builder does nothing until it is built"]
pub struct RateGuardBuilder {
    target: Result<Target, ConfigError>,
    prefix: String,
    deadline: Duration,
    on_error: OnError,
    max_keys: usize,
    compact_log: bool,
    deny_cache: Duration,
    writer: KeyWriter,
    client_ip: client_ip::Options,
    prefixes: Prefixes,
    clock: TimeSource,
    headers: Headers,
    shadow: bool,
    on_denied: Option<OnDenied>,
    quotas: HashMap<String, Quota>,
    /// The first thing that was wrong, of what can be seen at once.
    refused: Option<ConfigError>,
    #[cfg(feature = "tls")]
    certificates: crate::store::remote::redis::tls::Certificates,
}

impl RateGuardBuilder {
    pub(crate) fn new() -> RateGuardBuilder {
        RateGuardBuilder {
            target: Ok(Target::Memory),
            prefix: "ratelimit".to_owned(),
            deadline: DEADLINE,
            on_error: OnError::Open,
            max_keys: MAX_KEYS,
            compact_log: false,
            deny_cache: DENY_CACHE,
            writer: KeyWriter::new(SECRET),
            client_ip: client_ip::Options::default(),
            prefixes: Prefixes::default(),
            clock: TimeSource::system(),
            headers: Headers::default(),
            shadow: false,
            on_denied: None,
            quotas: HashMap::new(),
            refused: None,
            #[cfg(feature = "tls")]
            certificates: crate::store::remote::redis::tls::Certificates::default(),
        }
    }

    /// What cannot fail, without a way to fail.
    pub(crate) fn memory_default() -> RateGuard {
        let builder = RateGuardBuilder::new();
        let store = Store::Memory(MemoryStore::new(builder.max_keys));
        RateGuard::from_parts(store, builder.settings(ClientIp::default()), HashMap::new())
    }

    /// Count in this process alone. The default.
    pub fn memory(mut self) -> Self {
        self.target = Ok(Target::Memory);
        self
    }

    /// Count in Redis, at a URL of one of these forms:
    ///
    /// - `redis://[[user]:password@]host[:port][/database]`.
    /// - `rediss://…`, the same over TLS (feature `tls`).
    /// - `redis+sentinel://[[user]:password@]host1[:port],host2,…/name[/database]`: the server that the sentinels know as
    ///   the master of this name, asked anew with every connection. The password is the master's; the sentinels' own
    ///   are the parameters `sentinel_username` and `sentinel_password`. `rediss+sentinel://` speaks TLS to all of them.
    /// - `redis+cluster://[[user]:password@]host1[:port],host2,…`, a Redis Cluster (feature `cluster`): any of its nodes, who
    ///   name the others at the addresses that they announce. `rediss+cluster://` speaks TLS to all of them. The chapter on
    ///   [outages](crate::guide::outages) says how a cluster differs from one server.
    /// - `redis+unix://[[user]:password@]/path/to/socket[?db=database]`, a Unix socket.
    /// - `memory:` counts in this process.
    ///
    /// Characters of a password that have a meaning in URLs are percent-encoded (`#` is `%23`). The protocol is RESP3
    /// where the server has it; `?protocol=resp2` asks for the older one at once.
    pub fn redis(mut self, url: impl AsRef<str>) -> Self {
        self.target = Target::parse("redis url", url.as_ref());
        self
    }

    /// Count in Upstash's Redis, by its REST protocol: the URL and the token are those that its console shows under REST,
    /// the read-only token not being enough. For databases that are reached by HTTPS alone; where Redis' own protocol is
    /// possible, [`redis`](Self::redis) with the database's `rediss://` address costs less time a check.
    ///
    /// The first check of a connection may take longer than the [`deadline`](Self::deadline) that suits a Redis nearby:
    /// set one that suits the way to the database. `http://` is for a server on the same machine, since the token is
    /// sent as it is.
    #[cfg(feature = "upstash")]
    pub fn upstash(mut self, url: impl AsRef<str>, token: impl AsRef<str>) -> Self {
        self.target = Target::upstash(("upstash url", url.as_ref()), ("upstash token", token.as_ref()));
        self
    }

    /// The certificate authority that the server's certificate must come from, in PEM, instead of those that the system
    /// trusts. For `rediss://`.
    #[cfg(feature = "tls")]
    pub fn tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.authority = Some(pem.into());
        self
    }

    /// The certificate to show to the server, with those that vouch for it, and its key, both in PEM. For `rediss://`
    /// to servers that ask for one.
    #[cfg(feature = "tls")]
    pub fn tls_client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates.client = Some((certificate.into(), key.into()));
        self
    }

    /// Count where the environment says, as [`RateGuard::from_env`] does. With quotas from there as well:
    /// `.store_from_env().quotas_from_env()`.
    ///
    /// ```
    /// # use rateguard::{OnError, RateGuard};
    /// let limiter = RateGuard::builder().store_from_env().on_error(OnError::Local).build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    pub fn store_from_env(mut self) -> Self {
        self.target = Target::from_env();
        self
    }

    /// What every key in Redis begins with. Default `ratelimit`. Programs that should not share counts take different
    /// prefixes.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a request waits for the store at most, over all its layers and the attribute, or a check of
    /// [`RateGuard::check`]. Default 100 ms.
    ///
    /// Then the check is counted in this process, or the [failure policy](Self::on_error) answers
    /// ([which](crate::guide::outages)). Only waiting for the store counts: not a thread that a handler blocks, extractors,
    /// other middleware or a slow upload.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// What a check answers while the store is away. Default [`OnError::Open`].
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// How many keys are counted in this process at most (the memory store, and [`OnError::Local`]). Default 1 000 000.
    ///
    /// A store that is full goes on limiting: clients that are counted keep their places, and newcomers are counted in a
    /// sketch, which never allows more than the limit. Up to four times as many clients at once as there are places,
    /// practically none is denied too early; beyond that, some are. A policy with few keys, such as a limit for all, has
    /// places of its own whatever the others' floods. The chapter on [security](crate::guide::security) has the rules and
    /// the memory that it takes. The log is told once a minute while the store is full.
    pub fn max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// The key under which header values, cookies and other secrets are hashed before they are stored. All servers of a
    /// deployment take the same one, else they count such clients apart.
    ///
    /// Without one, a key that is part of the library is used, so that servers agree without being told. A hash made
    /// with it gives a long random API key away to nobody; but whoever reads Redis can try out values that are easy to
    /// guess, such as e-mail addresses. Where that matters, set a secret of 16 random bytes or more. Changing it gives
    /// every client that is counted by a hash a fresh quota, once.
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.writer = KeyWriter::new(secret.as_ref());
        self
    }

    /// Keep the log of every sliding window in the compact form that large limits have anyway, instead of a sorted set
    /// for limits up to 127: about a third of the memory, and quicker, but not readable with `ZRANGE`. Default `false`.
    /// Servers that share counts may differ; a log in the compact form stays so.
    pub fn compact_log(mut self, compact: bool) -> Self {
        self.compact_log = compact;
        self
    }

    /// For how long a refusal is remembered at most. Default 1 s; [`Duration::ZERO`] switches it off.
    ///
    /// Until its [`retry_after`](crate::Decision::retry_after) a refusal is certain, so whoever knocks on is refused
    /// from memory: a flood of requests beyond a quota costs Redis nothing, also while Redis is away. The longest time
    /// is also how soon a reset or a refund that another server has made is seen; one that this limiter makes is seen
    /// at once. For stores that servers share.
    pub fn deny_cache(mut self, longest: Duration) -> Self {
        self.deny_cache = longest;
        self
    }

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

    /// How many leading bits of an IPv6 address tell one client from another, 32 to 128. Default 64: a client has at
    /// least a `/64` network, and can take any address in it. Many have a `/56` or a `/48`.
    ///
    /// Servers that share counts need the same number.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.prefixes.ipv6 = bits;
        self
    }

    /// How many leading bits of an IPv4 address tell one client from another, 8 to 32. Default 32, the address itself.
    ///
    /// Servers that share counts need the same number.
    pub fn ipv4_prefix(mut self, bits: u8) -> Self {
        self.prefixes.ipv4 = bits;
        self
    }

    /// Where the time comes from for what is counted in this process. Default: the system's monotonic clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = TimeSource::Custom(Arc::new(clock));
        self
    }

    /// Which headers tell clients about their quota. Default [`Headers::X_RATE_LIMIT`]. A layer may choose
    /// [for itself](crate::RateLimitLayer::headers).
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Decide and count, but never refuse: everything that asks this limiter goes on, also where a policy is
    /// [`OnError::Closed`] and the store cannot be asked. To see what limits would do before they do it. Default `false`.
    ///
    /// What would have been refused says [`Decision::would_deny`](crate::Decision::would_deny). Clients are told nothing
    /// of their quotas.
    pub fn shadow(mut self, shadow: bool) -> Self {
        self.shadow = shadow;
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
        self.on_denied = Some(OnDenied::new(answer));
        self
    }

    /// Checks the settings and makes the limiter. Inside a Tokio runtime the connection starts at once, otherwise with
    /// the first check.
    ///
    /// # Errors
    ///
    /// When a setting cannot be used; the error names it, its value and what is allowed, and shows no password.
    /// Never because Redis is down.
    pub fn build(mut self) -> Result<RateGuard, ConfigError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        let ordinary = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}' | '"' | '\\');
        if self.prefix.is_empty() || self.prefix.len() > 100 || !self.prefix.chars().all(ordinary) {
            let problem = "use 1 to 100 letters, digits and - _ . : / (no spaces, quotes or braces)";
            return Err(ConfigError::new("prefix", self.prefix, problem));
        }
        if self.deadline.is_zero() || self.deadline > LONGEST_DEADLINE {
            let problem = "use more than 0 and at most 60 s, such as Duration::from_millis(100)";
            return Err(ConfigError::new("deadline", format!("{:?}", self.deadline), problem));
        }
        if self.max_keys == 0 {
            return Err(ConfigError::new("max_keys", "0", "use 1 or more"));
        }
        self.prefixes.check()?;
        let client_ip = self.client_ip.clone().build()?;
        let store = match &self.target {
            Err(error) => return Err(error.clone()),
            Ok(Target::Memory) => Store::Memory(MemoryStore::new(self.max_keys)),
            #[cfg(feature = "redis")]
            Ok(Target::Redis(endpoint)) => {
                #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "only TLS has more to say"))]
                let mut endpoint = (**endpoint).clone();
                #[cfg(feature = "tls")]
                self.certificates.apply(&mut endpoint)?;
                let store = crate::store::remote::redis::RedisStore::new(endpoint, self.deadline, &self.prefix);
                Store::Shared(SharedStore::Redis(store))
            }
            #[cfg(feature = "upstash")]
            Ok(Target::Upstash(endpoint)) => {
                #[cfg(feature = "tls")]
                self.certificates.are_unused()?;
                let settings =
                    crate::store::remote::upstash::Settings::new(endpoint.clone(), self.deadline, &self.prefix);
                let store = crate::store::remote::upstash::UpstashStore::new(settings);
                Store::Shared(SharedStore::Upstash(store))
            }
        };
        let quotas = std::mem::take(&mut self.quotas);
        Ok(RateGuard::from_parts(store, self.settings(client_ip), quotas))
    }

    fn refuse(mut self, error: ConfigError) -> Self {
        self.refused.get_or_insert(error);
        self
    }

    fn settings(self, client_ip: ClientIp) -> Settings {
        Settings {
            prefix: self.prefix,
            deadline: self.deadline,
            on_error: self.on_error,
            max_keys: self.max_keys,
            compact_log: self.compact_log,
            deny_cache: self.deny_cache,
            writer: self.writer,
            client_ip,
            prefixes: self.prefixes,
            clock: self.clock,
            headers: self.headers,
            shadow: self.shadow,
            on_denied: self.on_denied,
        }
    }
}

impl fmt::Debug for RateGuardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateGuardBuilder")
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .field("on_error", &self.on_error)
            .finish_non_exhaustive()
    }
}
