//! The builder, and constructors for limiters with the default settings.

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
/// The hash key of all servers that set none of their own, so that they agree.
const SECRET: &[u8] = b"rateguard";

/// Settings of a [`RateGuard`]. Only [`build`](Self::build) checks them and connects.
#[must_use = "a builder does nothing until it is built"]
pub struct RateGuardBuilder {
    location: Result<Location, ConfigError>,
    settings: Settings,
    http: HttpSettings,
    client_ip: Options,
    #[cfg(feature = "tls")]
    certificates: crate::store::remote::Certificates,
    /// The first error of a setting that is read before `build`.
    mistake: Option<ConfigError>,
}

impl RateGuard {
    /// Counts in this process alone.
    pub fn memory() -> RateGuard {
        RateGuardBuilder::new().in_memory()
    }

    /// Counts in Redis, together with all other servers that use the same Redis.
    ///
    /// The limiter connects in the background, and this does not wait for it. While Redis is down, the failure policy
    /// answers.
    ///
    /// # Errors
    ///
    /// When the URL is not one of the forms that [`RateGuardBuilder::redis`] lists.
    pub fn redis(url: impl AsRef<str>) -> Result<RateGuard, ConfigError> {
        RateGuard::builder().redis(url).build()
    }

    /// Counts in Upstash's Redis over its REST protocol.
    ///
    /// # Errors
    ///
    /// When the URL or the token is invalid; see [`RateGuardBuilder::upstash`]. The error shows neither of them.
    #[cfg(feature = "upstash")]
    pub fn upstash(url: impl AsRef<str>, token: impl AsRef<str>) -> Result<RateGuard, ConfigError> {
        RateGuard::builder().upstash(url, token).build()
    }

    /// Takes the store and the overrides from the environment. The store is the first of these that is set:
    ///
    /// 1. Redis, at `REDIS_URL`.
    /// 2. Upstash's Redis, at `UPSTASH_REDIS_REST_URL` with `UPSTASH_REDIS_REST_TOKEN` (feature `upstash`).
    /// 3. Otherwise this process counts.
    ///
    /// The overrides are those of [`RATEGUARD_QUOTAS`](RateGuardBuilder::quotas_from_env).
    ///
    /// # Errors
    ///
    /// When a variable is invalid, when this build lacks the feature for it, when only one of Upstash's two variables is
    /// set, or when a quota cannot be read. It does not count in this process instead.
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

    /// The text that every key in Redis begins with. The default is `ratelimit`. Give programs that should not share
    /// counts different prefixes.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// The longest time that a request waits for the store, over all its layers and the attribute; without HTTP, the
    /// longest time that one check waits. The default is 100 ms.
    ///
    /// After that, this process counts the check, or the [failure policy](Self::on_error) answers it. The chapter on
    /// [outages](crate::guide::redis_outages) says which. Only waiting for the store counts. Blocked threads, extractors, other
    /// middleware and slow uploads do not.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// What answers checks during an outage of the store. The default is [`OnError::Open`].
    #[doc(alias = "passOnStoreError")]
    #[doc(alias = "swallow_errors")]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.settings.on_error = on_error;
        self
    }

    /// The most keys that this process counts, in the memory store or for [`OnError::Local`]. The default is 1 000 000.
    ///
    /// A full store still limits. Clients that are counted keep their places. New clients are counted in a sketch, which
    /// never allows more than the limit. With up to four times as many clients as places, practically none is denied too
    /// early; with more, some are. A policy with few keys, such as one limit for all clients, keeps its places during a
    /// flood of other keys. While the store is full, the log says so once a minute. The chapter on
    /// [security](crate::guide::security) has the rules, and how much memory they take.
    pub fn max_keys(mut self, max_keys: usize) -> Self {
        self.settings.max_keys = max_keys;
        self
    }

    /// The key that hashes header values, cookies and other secrets before they are stored. All servers of a deployment
    /// need the same one. Otherwise each of them counts such clients separately.
    ///
    /// The default is a key that is part of the library. It protects long random values, such as API keys. But anyone who
    /// can read Redis can try out values that are easy to guess, such as e-mail addresses. If that matters, set a secret
    /// of at least 16 random bytes. A new secret gives every client that is counted by a hash a fresh quota, once.
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.settings.writer = KeyWriter::new(secret.as_ref());
        self
    }

    /// Whether Redis keeps the logs of limits up to 127 in the compact form too, which larger limits always have. The
    /// default is `false`: such a log is a sorted set.
    ///
    /// The compact form takes about a third of the memory and is faster, but `ZRANGE` cannot read it. Servers that share
    /// counts may have different settings. A log that is compact stays compact.
    pub fn compact_log(mut self, compact: bool) -> Self {
        self.settings.compact_log = compact;
        self
    }

    /// The longest time that a denial stays in the deny cache. The default is 1 s; [`Duration::ZERO`] switches the cache off.
    ///
    /// A denial is certain until its [`retry_after`](crate::Decision::retry_after), so repeated requests are denied locally.
    /// A flood over the limit costs Redis nothing, and is also denied during an outage. A reset or refund by this limiter
    /// takes effect at once; one by another server, after this time at the latest. A memory store needs no deny cache.
    pub fn deny_cache(mut self, longest: Duration) -> Self {
        self.settings.deny_cache = longest;
        self
    }

    /// How many leading bits of an IPv6 address identify a client, 32 to 128. The default is 64: a client has at least a
    /// `/64` network, and can use any address in it. Many clients have a `/56` or a `/48`.
    ///
    /// Servers that share counts need the same number.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.settings.prefixes.ipv6 = bits;
        self
    }

    /// How many leading bits of an IPv4 address identify a client, 8 to 32. The default is 32, the whole address.
    ///
    /// Servers that share counts need the same number.
    pub fn ipv4_prefix(mut self, bits: u8) -> Self {
        self.settings.prefixes.ipv4 = bits;
        self
    }

    /// The clock for everything that this process counts. The default is the system's monotonic clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = TimeSource::Custom(Arc::new(clock));
        self
    }

    /// Shadow mode (dry run) for all limits: they decide and count, but never deny, not even with [`OnError::Closed`] during
    /// an outage. It shows what new limits would do. The default is `false`.
    ///
    /// [`Decision::would_deny`](crate::Decision::would_deny) tells what would have been denied. Responses have no quota
    /// headers.
    pub fn shadow(mut self, shadow: bool) -> Self {
        self.settings.shadow = shadow;
        self
    }

    /// Checks the settings and makes the limiter. In a Tokio runtime, the limiter connects at once; otherwise it connects
    /// with the first check.
    ///
    /// # Errors
    ///
    /// When a setting is invalid. The error names the setting, its value and what is allowed, and never shows a password.
    /// An outage of Redis is not an error here.
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
