//! Which server to connect to: the one at an address, the master that sentinels name, or the nodes of a cluster.

use std::fmt;
use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisError};

use super::cluster::Address;
use super::error::failed;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::stopwatch::within;

/// After this much silence the next sentinel is asked.
const SENTINEL: Duration = Duration::from_secs(1);

/// Where the server is, and how to log in.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// The address is a placeholder unless `way` is `Way::Address`.
    info: ConnectionInfo,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Address,
    Sentinels(Sentinels),
    /// Nodes to ask for the slot map.
    Cluster(Vec<Address>),
}

#[derive(Clone)]
struct Sentinels {
    nodes: Vec<ConnectionInfo>,
    service: String,
}

impl Endpoint {
    pub(crate) fn one(info: ConnectionInfo) -> Endpoint {
        Endpoint { info, way: Way::Address }
    }

    /// The master that these sentinels know by this name. `info`, but for the address, is the master's.
    pub(crate) fn sentinels(info: ConnectionInfo, nodes: Vec<ConnectionInfo>, service: String) -> Endpoint {
        Endpoint { info, way: Way::Sentinels(Sentinels { nodes, service }) }
    }

    /// The cluster of these nodes. `info`, but for the address, is every node's.
    pub(crate) fn cluster(info: ConnectionInfo, seeds: Vec<Address>) -> Endpoint {
        Endpoint { info, way: Way::Cluster(seeds) }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.way, Way::Cluster(_))
    }

    /// The nodes from the URL.
    pub(super) fn seeds(&self) -> &[Address] {
        match &self.way {
            Way::Cluster(seeds) => seeds,
            Way::Address | Way::Sentinels(_) => &[],
        }
    }

    /// One node of the cluster.
    pub(super) fn node(&self, address: &Address) -> Endpoint {
        Endpoint::one(self.info.clone().set_addr(self.at(address.host.clone(), address.port)))
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    pub(super) fn set_info(&mut self, info: ConnectionInfo) {
        self.info = info;
    }

    /// Sets the certificates to trust instead of the system's, and the client certificate to show.
    #[cfg(feature = "tls")]
    pub(crate) fn set_certificates(&mut self, certificates: &redis::TlsCertificates) -> Result<(), RedisError> {
        let secured = |info: &ConnectionInfo| {
            Client::build_with_tls(info.clone(), certificates.clone())
                .map(|client| client.get_connection_info().clone())
        };
        self.info = secured(&self.info)?;
        if let Way::Sentinels(sentinels) = &mut self.way {
            for node in &mut sentinels.nodes {
                *node = secured(node)?;
            }
        }
        Ok(())
    }

    #[cfg(feature = "tls")]
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// The server's address now. Sentinels are asked one after the other, from the `turn`-th on, until one knows the master.
    pub(super) async fn resolve(&self, turn: usize) -> Result<ConnectionInfo, StoreError> {
        let Way::Sentinels(sentinels) = &self.way else { return Ok(self.info.clone()) };
        let mut last = StoreError::new(StoreErrorKind::Unreachable, "there are no sentinels");
        let count = sentinels.nodes.len();
        for node in sentinels.nodes.iter().cycle().skip(turn % count.max(1)).take(count) {
            let asked = within(SENTINEL, ask(node, &sentinels.service)).await;
            match asked.unwrap_or_else(|| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())) {
                Ok(Some((host, port))) => return Ok(self.info.clone().set_addr(self.at(host, port))),
                Ok(None) => {
                    let unknown = format!("sentinel {} does not know the master {:?}", node.addr(), sentinels.service);
                    last = StoreError::new(StoreErrorKind::Unreachable, unknown);
                }
                Err(error) => last = failed(error),
            }
        }
        Err(last)
    }

    fn at(&self, host: String, port: u16) -> ConnectionAddr {
        match self.info.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        }
    }
}

async fn ask(sentinel: &ConnectionInfo, service: &str) -> Result<Option<(String, u16)>, RedisError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let client = Client::open(sentinel.clone())?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service).query_async(&mut connection).await
}

/// Shows the addresses and no credentials.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Address => write!(f, "{}", self.info.addr()),
            Way::Cluster(seeds) => {
                write!(f, "the cluster of ")?;
                for (n, seed) in seeds.iter().enumerate() {
                    write!(f, "{}{seed}", if n > 0 { "," } else { "" })?;
                }
                Ok(())
            }
            Way::Sentinels(sentinels) => {
                write!(f, "{} by the sentinels ", sentinels.service)?;
                for (n, node) in sentinels.nodes.iter().enumerate() {
                    write!(f, "{}{}", if n > 0 { "," } else { "" }, node.addr())?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
