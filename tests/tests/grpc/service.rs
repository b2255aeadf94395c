//! A service of gRPC, behind a layer, and a client for it. The service is that of health checks, since it needs no protoc.

use std::net::SocketAddr;
use std::pin::Pin;

use axum::http::HeaderMap;
use rateguard::{Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer};
use tonic::codegen::tokio_stream::{self, Stream};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

pub(crate) type Client = HealthClient<Channel>;

/// Counts by the message, inside of the method.
pub(crate) const BY_MESSAGE: Policy = Policy::new("by-message", Quota::per_minute(1));

/// `check` is a limit of the method's own; `watch` sends three messages.
pub(crate) struct Service(RateGuard);

#[tonic::async_trait]
impl Health for Service {
    async fn check(&self, call: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match call.into_inner().service.as_str() {
            "" => {}
            "unknown" => return Err(Status::not_found("no such service")),
            name => drop(self.0.check(&BY_MESSAGE, &Key::new("service", name)).await.into_result()?),
        }
        Ok(Response::new(HealthCheckResponse::default()))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, call: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let mut messages = vec![Ok(HealthCheckResponse::default()); 3];
        if call.get_ref().service == "aborted" {
            messages.push(Err(Status::aborted("the third was the last")));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }
}

pub(crate) fn service(limiter: &RateGuard) -> HealthServer<Service> {
    HealthServer::new(Service(limiter.clone()))
}

/// Two calls a minute.
pub(crate) fn two(limiter: &RateGuard, key: KeyBy) -> RateLimitLayer {
    RateLimitLayer::new(limiter.clone()).limit("two", Quota::per_minute(2), key)
}

/// On tonic's own server, until the test's runtime ends.
pub(crate) fn serve(limiter: &RateGuard, layer: RateLimitLayer) -> SocketAddr {
    let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = incoming.local_addr().unwrap();
    let server = Server::builder().layer(layer).add_service(service(limiter));
    tokio::spawn(server.serve_with_incoming(incoming));
    address
}

/// By `http://` or `unix://`.
pub(crate) async fn connect(url: String) -> Client {
    HealthClient::new(Endpoint::from_shared(url).unwrap().connect().await.unwrap())
}

pub(crate) async fn client(address: SocketAddr) -> Client {
    connect(format!("http://{address}")).await
}

/// A call with this metadata.
pub(crate) fn call(service: &str, metadata: &[(&'static str, &str)]) -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest { service: service.to_owned() });
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// What became of a call with this metadata: whether it was allowed, or the status of its denial.
pub(crate) async fn check(client: &mut Client, metadata: &[(&'static str, &str)]) -> Result<HeaderMap, Status> {
    client.check(call("", metadata)).await.map(|response| response.metadata().clone().into_headers())
}

/// The codes of several calls with this metadata.
pub(crate) async fn codes(client: &mut Client, metadata: &[(&'static str, &str)], calls: usize) -> Vec<tonic::Code> {
    let mut codes = Vec::new();
    for _ in 0..calls {
        codes.push(check(client, metadata).await.err().map_or(tonic::Code::Ok, |status| status.code()));
    }
    codes
}

/// One connection, and then none.
pub(crate) fn once<C>(connection: C) -> impl Stream<Item = Result<C, std::io::Error>> {
    tokio_stream::iter([Ok(connection)])
}

/// A channel over a connection that exists.
pub(crate) async fn over(connection: tokio::io::DuplexStream) -> Channel {
    let mut connection = Some(hyper_util::rt::TokioIo::new(connection));
    let connector = tower::service_fn(move |_| {
        let connection = connection.take().ok_or_else(|| std::io::Error::other("it was only one"));
        std::future::ready(connection)
    });
    Endpoint::from_static("http://in-memory").connect_with_connector(connector).await.unwrap()
}
