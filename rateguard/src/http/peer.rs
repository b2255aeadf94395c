//! Whose request it is: the address of the connection's other end.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::Extensions;

/// The peer's address, as `into_make_service_with_connect_info` left it.
pub(super) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let address = if let Some(ConnectInfo(address)) = extensions.get::<ConnectInfo<SocketAddr>>() {
        address
    } else {
        let MockConnectInfo(address) = extensions.get::<MockConnectInfo<SocketAddr>>()?;
        address
    };
    Some(address.ip())
}
