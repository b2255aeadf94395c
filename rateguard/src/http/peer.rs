//! Whose request it is: the other end of the connection.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::extract::connect_info::{Connected, MockConnectInfo};
use axum::http::Extensions;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::{UnixListener, unix};

use super::setup_error::Misuse;
use crate::http::client_ip::{ClientIp, Peer};

/// The peer: as the program's own closure finds it, if there is one, or as `into_make_service_with_connect_info` left it.
pub(super) fn peer(extensions: &Extensions, client_ip: &ClientIp) -> Result<Peer, Misuse> {
    let own = client_ip.own_peer();
    if let Some(peer) = own.and_then(|own| own.find(extensions)) {
        return Ok(peer);
    }
    if let Some(ConnectInfo(address)) = extensions.get::<ConnectInfo<SocketAddr>>() {
        return Ok(Peer::from(*address));
    }
    provided(extensions).ok_or(Misuse::PeerUnknown { asked: own.is_some() })
}

/// By a server without TCP, or by a test.
fn provided(extensions: &Extensions) -> Option<Peer> {
    if let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<Peer>>() {
        return Some(*peer);
    }
    #[cfg(unix)]
    if extensions.get::<ConnectInfo<unix::SocketAddr>>().is_some() {
        return Some(Peer::Unix);
    }
    if let Some(MockConnectInfo(address)) = extensions.get::<MockConnectInfo<SocketAddr>>() {
        return Some(Peer::from(*address));
    }
    extensions.get::<MockConnectInfo<Peer>>().map(|MockConnectInfo(peer)| *peer)
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
