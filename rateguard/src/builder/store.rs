//! Where the limiter counts.

use super::RateGuardBuilder;
use crate::error::ConfigError;
use crate::limiter::Store;
use crate::store::location::Location;
use crate::store::memory::MemoryStore;
use crate::store::remote::RemoteStore;

/// Where to count.
impl RateGuardBuilder {
    /// Count in this process alone. The default.
    pub fn memory(mut self) -> Self {
        self.location = Ok(Location::Memory);
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
        self.location = Location::parse("redis url", url.as_ref());
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
        self.location = Location::upstash(("upstash url", url.as_ref()), ("upstash token", token.as_ref()));
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
