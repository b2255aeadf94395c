//! Clients that a limit does not count.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::client_ip::networks;
use crate::error::ConfigError;

/// The networks of clients that are not counted.
#[derive(Clone, Default)]
pub(crate) struct Exempt(List);

#[derive(Clone)]
enum List {
    Static(&'static [IpNet]),
    Shared(Arc<[IpNet]>),
}

impl Default for List {
    fn default() -> List {
        List::Static(&[])
    }
}

impl Exempt {
    pub(super) const fn written(networks: &'static [IpNet]) -> Exempt {
        Exempt(List::Static(networks))
    }

    /// With these networks as well: addresses, networks, and the names `loopback` and `private`.
    pub(crate) fn and(&self, texts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Exempt, ConfigError> {
        let texts: Vec<String> = texts.into_iter().map(|text| text.as_ref().to_owned()).collect();
        let all = self.networks().iter().copied().chain(networks("exempt", &texts)?);
        Ok(Exempt(List::Shared(all.collect())))
    }

    /// The networks of both.
    pub(super) fn joined(&self, other: &Exempt) -> Exempt {
        Exempt(List::Shared(self.networks().iter().chain(other.networks()).copied().collect()))
    }

    fn networks(&self) -> &[IpNet] {
        match &self.0 {
            List::Static(networks) => networks,
            List::Shared(networks) => networks,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.networks().is_empty()
    }

    /// The address must be in its own form: an IPv4 address not written as IPv6.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.networks().iter().any(|network| network.contains(&address))
    }
}

impl fmt::Debug for Exempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.networks()).finish()
    }
}
