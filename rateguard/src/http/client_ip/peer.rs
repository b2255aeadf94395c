//! The other end of a connection.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::extract::connect_info::{Connected, MockConnectInfo};
use axum::http::Extensions;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::{UnixListener, unix};

/// The other end of a connection: what a server without TCP of its own tells the limiter, and what
/// [`RateGuardBuilder::peer`](crate::RateGuardBuilder::peer) reads from other types.
///
/// A server on a Unix socket provides it so. Where a proxy is on the other end of the socket, its word about the client is
/// believed with `"unix"` among the [`trusted_proxies`](crate::RateGuardBuilder::trusted_proxies):
///
/// ```no_run
/// # #[cfg(unix)]
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::get};
/// use rateguard::{Peer, RateGuard, RateLimitLayer};
/// use tokio::net::UnixListener;
///
/// let limiter = RateGuard::builder().trusted_proxies(["unix"]).build()?;
/// let app = Router::new().route("/", get(|| async { "hello" })).layer(RateLimitLayer::new(limiter));
///
/// let listener = UnixListener::bind("/run/app/app.sock")?;
/// axum::serve(listener, app.into_make_service_with_connect_info::<Peer>()).await?;
/// # Ok(())
/// # }
/// # #[cfg(not(unix))] fn main() {}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// An address.
    Ip(IpAddr),
    /// A process on this machine, by a Unix socket. It has no address: it is counted as `127.0.0.1`, unless it is trusted
    /// and names its client.
    Unix,
}

impl Peer {
    /// What is counted for want of a client, an IPv4 address never in the form of an IPv6 one.
    pub(super) fn address(self) -> IpAddr {
        match self {
            Peer::Ip(address) => address.to_canonical(),
            Peer::Unix => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Peer {
        Peer::Ip(address)
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Peer {
        Peer::Ip(address.ip())
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Peer {
        Peer::from(*stream.remote_addr())
    }
}

#[cfg(unix)]
impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, UnixListener>) -> Peer {
        Peer::Unix
    }
}

/// The peer, as `into_make_service_with_connect_info`, tonic's server or a test left it.
pub(super) fn connected(extensions: &Extensions) -> Option<Peer> {
    if let Some(ConnectInfo(address)) = extensions.get::<ConnectInfo<SocketAddr>>() {
        return Some(Peer::from(*address));
    }
    if let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<Peer>>() {
        return Some(*peer);
    }
    #[cfg(unix)]
    if extensions.get::<ConnectInfo<unix::SocketAddr>>().is_some() {
        return Some(Peer::Unix);
    }
    #[cfg(feature = "tonic")]
    if let Some(peer) = connected_to_tonic(extensions) {
        return Some(peer);
    }
    if let Some(MockConnectInfo(address)) = extensions.get::<MockConnectInfo<SocketAddr>>() {
        return Some(Peer::from(*address));
    }
    extensions.get::<MockConnectInfo<Peer>>().map(|MockConnectInfo(peer)| *peer)
}

/// As tonic's server leaves it, also for its own TLS.
#[cfg(feature = "tonic")]
fn connected_to_tonic(extensions: &Extensions) -> Option<Peer> {
    use tonic::transport::server::TcpConnectInfo;
    #[cfg(unix)]
    if extensions.get::<tonic::transport::server::UdsConnectInfo>().is_some() {
        return Some(Peer::Unix);
    }
    Some(Peer::from(extensions.get::<TcpConnectInfo>()?.remote_addr?))
}

/// A user's closure that finds the peer in a request's extensions.
#[derive(Clone)]
#[allow(clippy::type_complexity, reason = "a closure over the extensions, once")]
pub(crate) struct PeerFn(Arc<dyn Fn(&Extensions) -> Option<Peer> + Send + Sync>);

impl PeerFn {
    pub(crate) fn new<P: Into<Peer>>(find: impl Fn(&Extensions) -> Option<P> + Send + Sync + 'static) -> PeerFn {
        PeerFn(Arc::new(move |extensions| find(extensions).map(Into::into)))
    }

    pub(crate) fn find(&self, extensions: &Extensions) -> Option<Peer> {
        (self.0)(extensions)
    }
}

impl fmt::Debug for PeerFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("peer(..)")
    }
}
