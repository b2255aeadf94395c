//! Who is counted.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use rateguard::{KeyBy, RateGuard, RateLimitLayer, rate_limit};
use rateguard_tests::{Authority, Log, RedisServer, connected};
use tonic::Code::{Internal, Ok as Allowed, ResourceExhausted};
use tonic::codegen::tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};
use tonic_health::pb::health_client::HealthClient;
use tracing::Level;

use super::service::{client, codes, connect, serve, service, two};

#[tokio::test]
async fn each_address_has_its_own_quota() {
    let limiter = RateGuard::builder().trusted_proxies(["loopback"]).build().unwrap();
    let mut client = client(serve(&limiter, two(&limiter, KeyBy::Ip))).await;
    // Without a header, the other end of the connection is counted.
    for metadata in [&[][..], &[("x-forwarded-for", "203.0.113.7")], &[("x-forwarded-for", "203.0.113.8")]] {
        assert_eq!(codes(&mut client, metadata, 3).await, [Allowed, Allowed, ResourceExhausted], "{metadata:?}");
    }
}

#[tokio::test]
async fn each_metadata_key_has_its_own_quota_and_calls_without_one_are_counted_by_address() {
    let limiter = RateGuard::memory();
    let mut client = client(serve(&limiter, two(&limiter, KeyBy::header("x-api-key")))).await;
    for metadata in [&[("x-api-key", "a")][..], &[("x-api-key", "b")], &[]] {
        assert_eq!(codes(&mut client, metadata, 3).await, [Allowed, Allowed, ResourceExhausted], "{metadata:?}");
    }
}

#[tokio::test]
async fn the_address_is_found_over_tls() {
    let authority = Authority::new();
    let identity = Identity::from_pem(authority.read("server.pem"), authority.read("server.key"));
    let limiter = RateGuard::memory();
    let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let url = format!("https://{}", incoming.local_addr().unwrap());
    let server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
    let server = server.layer(two(&limiter, KeyBy::Ip)).add_service(service(&limiter));
    tokio::spawn(server.serve_with_incoming(incoming));

    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.read("ca.pem")));
    let channel = Endpoint::from_shared(url).unwrap().tls_config(tls).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    assert_eq!(codes(&mut client, &[], 3).await, [Allowed, Allowed, ResourceExhausted]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_a_peer_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grpc.sock");
    let limiter = RateGuard::builder().trusted_proxies(["unix"]).build().unwrap();
    let incoming = UnixListenerStream::new(tokio::net::UnixListener::bind(&path).unwrap());
    let server = Server::builder().layer(two(&limiter, KeyBy::Ip)).add_service(service(&limiter));
    tokio::spawn(server.serve_with_incoming(incoming));

    let mut client = connect(format!("unix://{}", path.display())).await;
    for metadata in [&[][..], &[("x-forwarded-for", "203.0.113.7")]] {
        assert_eq!(codes(&mut client, metadata, 3).await, [Allowed, Allowed, ResourceExhausted], "{metadata:?}");
    }
}

#[rate_limit(limit = 1, window = 60)]
async fn page() -> &'static str {
    "a page"
}

#[tokio::test]
async fn handlers_and_services_share_one_router() {
    let limiter = RateGuard::memory();
    let app = Routes::new(service(&limiter)).into_axum_router().layer(two(&limiter, KeyBy::Ip));
    let pages = Router::new().route("/page", get(page)).layer(RateLimitLayer::new(limiter.clone()));
    let address = rateguard_tests::serve(app.merge(pages)).await;
    let mut client = client(address).await;
    assert_eq!(codes(&mut client, &[], 3).await, [Allowed, Allowed, ResourceExhausted]);
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(reqwest::get(format!("http://{address}/page")).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 429]);
}

#[tokio::test]
async fn two_servers_share_one_quota_in_redis() {
    let redis = RedisServer::start();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let limiter = connected(RateGuard::builder(), &redis).await;
        clients.push(client(serve(&limiter, two(&limiter, KeyBy::header("x-api-key")))).await);
    }
    let metadata = [("x-api-key", "a")];
    let mut told = codes(&mut clients[0], &metadata, 1).await;
    told.extend(codes(&mut clients[1], &metadata, 2).await);
    told.extend(codes(&mut clients[0], &metadata, 1).await);
    assert_eq!(told, [Allowed, Allowed, ResourceExhausted, ResourceExhausted]);
}

#[tokio::test]
async fn a_peer_that_is_unknown_is_an_internal_error_and_the_log_says_the_lines_for_grpc() {
    let (log, _guard) = Log::capture(Level::ERROR);
    let limiter = RateGuard::memory();
    // A connection in memory has no other end.
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = Server::builder().layer(two(&limiter, KeyBy::Ip)).add_service(service(&limiter));
    let incoming = super::service::once(far);
    tokio::spawn(server.serve_with_incoming(incoming));
    let mut client = HealthClient::new(super::service::over(near).await);

    let status = super::service::check(&mut client, &[]).await.unwrap_err();
    assert_eq!(status.code(), Internal);
    assert_eq!(status.message(), "The rate limit of this route is not set up; the server's log says how.");
    assert!(!status.metadata().contains_key("grpc-retry-pushback-ms"), "waiting does not help");
    let lines = log.lines_with("a limit by IP address");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("into_axum_router") && lines[0].contains("TlsConnectInfo"), "{}", lines[0]);
}
