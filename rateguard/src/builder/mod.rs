//! The builder, and the ways to a limiter that need no other settings.

mod http;
mod quotas;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, TimeSource};
use crate::error::ConfigError;
use crate::http::client_ip::Options;
use crate::http::settings::Settings as HttpSettings;
use crate::key::encode::KeyWriter;
use crate::key::prefix::Prefixes;
use crate::limiter::{Limiter, Settings, Store};
use crate::policy::OnError;
use crate::rate_guard::RateGuard;
use crate::store::location::Location;
use crate::store::memory::MemoryStore;

const DEADLINE: Duration = Duration::from_millis(100);
const LONGEST_DEADLINE: Duration = Duration::from_secs(60);
const MAX_KEYS: usize = 1_000_000;
const DENY_CACHE: Duration = Duration::from_secs(1);
/// All servers of a deployment agree on it without being told.
const SECRET: &[u8] = b"rateguard";

/// Settings of a [`RateGuard`]. Nothing is checked, and nothing is connected, before [`build`](Self::build).
#[must_use = "a builder does nothing until it is built"]
pub struct RateGuardBuilder {
    location: Result<Location, ConfigError>,
    settings: Settings,
    http: HttpSettings,
    client_ip: Options,
    #[cfg(feature = "tls")]
    certificates: crate::store::remote::Certificates,
    /// The first mistake among those that are seen before the limiter is built.
    mistake: Option<ConfigError>,
}

impl RateGuard {
    /// Counts in this process alone.
    pub fn memory() -> RateGuard {
        RateGuardBuilder::new().in_memory()
    }

    /// Counts in Redis, together with every other server that uses the same one.
    ///
    /// The connection is made in the background and never waited for: if Redis is down, the failure policy answers
    /// until it is up.
    ///
    /// # Errors
    ///
    /// When the URL is not one of the forms that [`RateGuardBuilder::redis`] lists.
    pub fn redis(url: impl AsRef<str>) -> Result<RateGuard, ConfigError> {
        RateGuard::builder().redis(url).build()
    }

    /// Counts in Upstash's Redis by its REST protocol, as [`redis`](RateGuard::redis) does in Redis.
    ///
    /// # Errors
    ///
    /// When the URL or the token cannot be used; see [`RateGuardBuilder::upstash`]. Neither is shown.
    #[cfg(feature = "upstash")]
    pub fn upstash(url: impl AsRef<str>, token: impl AsRef<str>) -> Result<RateGuard, ConfigError> {
        RateGuard::builder().upstash(url, token).build()
    }

    /// Counts where the environment says: in Redis at `REDIS_URL`; if that is not set, in Upstash's Redis at
    /// `UPSTASH_REDIS_REST_URL` with `UPSTASH_REDIS_REST_TOKEN` (feature `upstash`); and in this process if none of them
    /// is. With the quotas of [`RATEGUARD_QUOTAS`](RateGuardBuilder::quotas_from_env), if there are any.
    ///
    /// # Errors
    ///
    /// When one of them is set to what cannot be used, or to what this build has no feature for, or one of Upstash's
    /// without the other. It never falls back to counting in this process then. When a quota cannot be read.
    pub fn from_env() -> Result<RateGuard, ConfigError> {
        RateGuard::builder().store_from_env().quotas_from_env().build()
    }

    /// A limiter with your own settings.
    pub fn builder() -> RateGuardBuilder {
        RateGuardBuilder::new()
    }
}

impl RateGuardBuilder {
    fn new() -> RateGuardBuilder {
        RateGuardBuilder {
            location: Ok(Location::Memory),
            settings: Settings {
                prefix: "ratelimit".to_owned(),
                deadline: DEADLINE,
                on_error: OnError::Open,
                max_keys: MAX_KEYS,
                writer: KeyWriter::new(SECRET),
                compact_log: false,
                deny_cache: DENY_CACHE,
                prefixes: Prefixes::default(),
                clock: TimeSource::system(),
                shadow: false,
                quotas: std::collections::HashMap::new(),
            },
            http: HttpSettings::default(),
            client_ip: Options::default(),
            #[cfg(feature = "tls")]
            certificates: crate::store::remote::Certificates::default(),
            mistake: None,
        }
    }

    /// The default settings cannot fail.
    fn in_memory(self) -> RateGuard {
        let store = Store::Memory(MemoryStore::new(self.settings.max_keys));
        RateGuard::new(Limiter::new(store, self.settings), self.http)
    }

    /// What every key in Redis begins with. Default `ratelimit`. Programs that should not share counts take different
    /// prefixes.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// How long a request waits for the store at most, over all its layers and the attribute, or a check of
    /// [`RateGuard::check`]. Default 100 ms.
    ///
    /// Then the check is counted in this process, or the [failure policy](Self::on_error) answers
    /// ([which](crate::guide::outages)). Only waiting for the store counts: not a thread that a handler blocks, extractors,
    /// other middleware or a slow upload.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// What a check answers while the store is away. Default [`OnError::Open`].
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.settings.on_error = on_error;
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
        self.settings.max_keys = max_keys;
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
        self.settings.writer = KeyWriter::new(secret.as_ref());
        self
    }

    /// Keep the log of every sliding window in the compact form that large limits have anyway, instead of a sorted set
    /// for limits up to 127: about a third of the memory, and quicker, but not readable with `ZRANGE`. Default `false`.
    /// Servers that share counts may differ; a log in the compact form stays so.
    pub fn compact_log(mut self, compact: bool) -> Self {
        self.settings.compact_log = compact;
        self
    }

    /// For how long a refusal is remembered at most. Default 1 s; [`Duration::ZERO`] switches it off.
    ///
    /// Until its [`retry_after`](crate::Decision::retry_after) a refusal is certain, so whoever knocks on is refused
    /// from memory: a flood of requests beyond a quota costs Redis nothing, also while Redis is away. The longest time
    /// is also how soon a reset or a refund that another server has made is seen; one that this limiter makes is seen
    /// at once. For stores that servers share.
    pub fn deny_cache(mut self, longest: Duration) -> Self {
        self.settings.deny_cache = longest;
        self
    }

    /// How many leading bits of an IPv6 address tell one client from another, 32 to 128. Default 64: a client has at
    /// least a `/64` network, and can take any address in it. Many have a `/56` or a `/48`.
    ///
    /// Servers that share counts need the same number.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.settings.prefixes.ipv6 = bits;
        self
    }

    /// How many leading bits of an IPv4 address tell one client from another, 8 to 32. Default 32, the address itself.
    ///
    /// Servers that share counts need the same number.
    pub fn ipv4_prefix(mut self, bits: u8) -> Self {
        self.settings.prefixes.ipv4 = bits;
        self
    }

    /// Where the time comes from for what is counted in this process. Default: the system's monotonic clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = TimeSource::Custom(Arc::new(clock));
        self
    }

    /// Decide and count, but never refuse: everything that asks this limiter goes on, also where a policy is
    /// [`OnError::Closed`] and the store cannot be asked. To see what limits would do before they do it. Default `false`.
    ///
    /// What would have been refused says [`Decision::would_deny`](crate::Decision::would_deny). Clients are told nothing
    /// of their quotas.
    pub fn shadow(mut self, shadow: bool) -> Self {
        self.settings.shadow = shadow;
        self
    }

    /// Checks the settings and makes the limiter. Inside a Tokio runtime the connection starts at once, otherwise with
    /// the first check.
    ///
    /// # Errors
    ///
    /// When a setting cannot be used. The error names it, its value and what is allowed, and shows no password.
    /// Never because Redis is down.
    pub fn build(mut self) -> Result<RateGuard, ConfigError> {
        if let Some(error) = self.mistake {
            return Err(error);
        }
        self.settings.check()?;
        self.http.client_ip = std::mem::take(&mut self.client_ip).build()?;
        let store = self.store()?;
        Ok(RateGuard::new(Limiter::new(store, self.settings), self.http))
    }

    fn mistaken(mut self, error: ConfigError) -> Self {
        self.mistake.get_or_insert(error);
        self
    }
}

impl Settings {
    fn check(&self) -> Result<(), ConfigError> {
        let ordinary = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}' | '"' | '\\');
        if self.prefix.is_empty() || self.prefix.len() > 100 || !self.prefix.chars().all(ordinary) {
            let problem = "use 1 to 100 letters, digits and - _ . : / (no spaces, quotes or braces)";
            return Err(ConfigError::new("prefix", &self.prefix, problem));
        }
        if self.deadline.is_zero() || self.deadline > LONGEST_DEADLINE {
            let problem = "use more than 0 and at most 60 s, such as Duration::from_millis(100)";
            return Err(ConfigError::new("deadline", format!("{:?}", self.deadline), problem));
        }
        if self.max_keys == 0 {
            return Err(ConfigError::new("max_keys", "0", "use 1 or more"));
        }
        self.prefixes.check()
    }
}

impl fmt::Debug for RateGuardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateGuardBuilder")
            .field("prefix", &self.settings.prefix)
            .field("deadline", &self.settings.deadline)
            .field("on_error", &self.settings.on_error)
            .finish_non_exhaustive()
    }
}
