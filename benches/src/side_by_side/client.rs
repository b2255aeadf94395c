//! What floors and the tutorials' script have in common: the client of a request, and a connection to Redis.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use redis::IntoConnectionInfo;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;

/// A connection to a server or to a cluster.
pub(crate) trait Connection: ConnectionLike + Clone + Send + Sync + 'static {}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Connection for C {}

/// The client of a request.
pub(crate) struct Client(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Client, StatusCode> {
        let value = parts.headers.get("x-api-key").and_then(|value| value.to_str().ok());
        value.map(|value| Client(value.to_owned())).ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// The fastest usual connection: one for all requests, with `TCP_NODELAY`.
pub(crate) async fn connection(url: &str) -> MultiplexedConnection {
    let info = url.into_connection_info().expect("a URL");
    let client = redis::Client::open(info.set_tcp_settings(without_delay())).expect("a client");
    client.get_multiplexed_async_connection().await.expect("a connection")
}

/// One such connection to each node.
pub(crate) async fn cluster_connection(urls: &[String]) -> ClusterConnection {
    let client = ClusterClient::builder(urls.to_vec()).tcp_settings(without_delay()).build().expect("a client");
    client.get_async_connection().await.expect("the cluster answers")
}

fn without_delay() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}
