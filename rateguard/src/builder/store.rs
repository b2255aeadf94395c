//! The choice of a store.

use super::RateGuardBuilder;
use crate::error::ConfigError;
use crate::limiter::Store;
use crate::store::location::Location;
use crate::store::memory::MemoryStore;
use crate::store::remote::RemoteStore;

/// The store.
impl RateGuardBuilder {
    /// Counts in this process alone. This is the default.
    pub fn memory(mut self) -> Self {
        self.location = Ok(Location::Memory);
        self
    }

    /// Counts in Redis, at a URL of one of these forms:
    ///
    /// - `redis://[[user]:password@]host[:port][/database]`.
    /// - `rediss://…`, the same over TLS (feature `tls`).
    /// - `redis+sentinel://[[user]:password@]host1[:port],host2,…/name[/database]`: the master that the sentinels know by this
    ///   name. They are asked before every connection. The user and password are the master's; those of the sentinels are
    ///   the parameters `sentinel_username` and `sentinel_password`. `rediss+sentinel://` uses TLS for all of them.
    /// - `redis+cluster://[[user]:password@]host1[:port],host2,…`: a Redis Cluster, by some of its nodes. They name the
    ///   others, at the addresses that they announce. `rediss+cluster://` uses TLS for all of them. The chapter on
    ///   [outages](crate::guide::redis_outages) says how a cluster differs from one server.
    /// - `redis+unix://[[user]:password@]/path/to/socket[?db=database]`, a Unix socket.
    /// - `memory:` counts in this process.
    ///
    /// In a password, write characters that have a meaning in URLs in percent-encoding (`#` is `%23`). The protocol is RESP3
    /// if the server supports it. With `?protocol=resp2`, it is RESP2.
    pub fn redis(mut self, url: impl AsRef<str>) -> Self {
        self.location = Location::parse("redis url", url.as_ref());
        self
    }

    /// Counts in Upstash's Redis, over its REST protocol. The console shows the URL and the token under REST; the read-only
    /// token is not enough. Use this only where Redis' own protocol is not possible: [`redis`](Self::redis) with the
    /// database's `rediss://` address takes less time per check.
    ///
    /// The default [`deadline`](Self::deadline) suits a Redis nearby. For a database further away, set a longer one. Use
    /// `http://` only for a server on the same machine, because the token is then sent without encryption.
    #[cfg(feature = "upstash")]
    pub fn upstash(mut self, url: impl AsRef<str>, token: impl AsRef<str>) -> Self {
        self.location = Location::upstash(("upstash url", url.as_ref()), ("upstash token", token.as_ref()));
        self
    }

    /// The certificate authority that must have signed the server's certificate, in PEM, instead of those that the system
    /// trusts. For `rediss://`.
    #[cfg(feature = "tls")]
    pub fn tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.authority = Some(pem.into());
        self
    }

    /// The client certificate (with its intermediate certificates) and its private key, both in PEM. For `rediss://` to
    /// servers that ask for a client certificate.
    #[cfg(feature = "tls")]
    pub fn tls_client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates.client = Some((certificate.into(), key.into()));
        self
    }

    /// Takes the store from the environment, as [`RateGuard::from_env`](crate::RateGuard::from_env) does. To take the overrides from there too, write
    /// `.store_from_env().quotas_from_env()`.
    ///
    /// ```
    /// # use rateguard::{OnError, RateGuard};
    /// let limiter = RateGuard::builder().store_from_env().on_error(OnError::Local).build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    pub fn store_from_env(mut self) -> Self {
        self.location = Location::from_env();
        self
    }

    pub(super) fn store(&self) -> Result<Store, ConfigError> {
        Ok(match &self.location {
            Err(error) => return Err(error.clone()),
            Ok(Location::Memory) => Store::Memory(MemoryStore::new(self.settings.max_keys)),
            Ok(Location::Remote(endpoint)) => {
                let endpoint = endpoint.clone();
                #[cfg(feature = "tls")]
                let endpoint = endpoint.with_certificates(&self.certificates)?;
                Store::Remote(RemoteStore::new(endpoint, self.settings.deadline, &self.settings.prefix))
            }
        })
    }
}
