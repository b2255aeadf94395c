//! Servers whose connections have no address, or one in a type of their own.
#![cfg(unix)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::routing::get;
use axum::serve::{IncomingStream, ListenerExt};
use rateguard::{KeyBy, Peer, Quota, RateGuard, RateGuardBuilder, RateLimitLayer, rate_limit};
use rateguard_tests::Nginx;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

#[rate_limit(limit = 2, window = 60, key = "ip")]
async fn attribute() {}

/// By the attribute, and by a layer.
fn app(builder: RateGuardBuilder) -> Router {
    let limiter = builder.build().unwrap();
    let limit = RateLimitLayer::new(limiter.clone()).limit(
        "layer",
        Quota::sliding_window(2, Duration::from_secs(60)),
        KeyBy::Ip,
    );
    let layered = Router::new().route("/layer", get(|| async {})).layer(limit);
    Router::new().route("/attribute", get(attribute)).layer(RateLimitLayer::new(limiter)).merge(layered)
}

const PATHS: [&str; 2] = ["/attribute", "/layer"];

/// The status, by HTTP/1.1 written down.
async fn ask(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, path: &str, forwarded_for: &str) -> u16 {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: app\r\nX-Forwarded-For: {forwarded_for}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn ask_socket(socket: &Path, path: &str, forwarded_for: &str) -> u16 {
    ask(UnixStream::connect(socket).await.unwrap(), path, forwarded_for).await
}

/// Twenty requests of one client of a proxy that says so, each with a lie of its own: how many were served.
async fn served(socket: &Path, path: &str, client: &str) -> usize {
    let mut served = 0;
    for n in 0..20 {
        match ask_socket(socket, path, &format!("6.6.6.{n}, {client}")).await {
            200 => served += 1,
            status => assert_eq!(status, 429),
        }
    }
    served
}

#[tokio::test]
async fn behind_a_real_nginx_on_a_unix_socket_each_client_has_its_own_quota() {
    let nginx = Nginx::start();
    let socket = UnixListener::bind(nginx.socket()).unwrap();
    let app = app(RateGuard::builder().trusted_proxies(["unix"]));
    tokio::spawn(async { axum::serve(socket, app.into_make_service_with_connect_info::<Peer>()).await });
    for path in PATHS {
        // All of 127.0.0.0/8 is this machine.
        for client in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 1, 2, 3)] {
            let client = reqwest::Client::builder().local_address(IpAddr::V4(client)).build().unwrap();
            let mut statuses = Vec::new();
            for n in 0..20 {
                let request = client.get(format!("http://{}{path}", nginx.address()));
                let answer = request.header("x-forwarded-for", format!("6.6.6.{n}")).send().await.unwrap();
                statuses.push(answer.status().as_u16());
            }
            assert_eq!(statuses, [&[200; 2][..], &[429; 18]].concat(), "{path}");
        }
    }
}

#[tokio::test]
async fn a_unix_peer_that_is_not_trusted_is_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let app = app(RateGuard::builder().trusted_proxies(["loopback", "private"]));
    tokio::spawn(async { axum::serve(socket, app.into_make_service_with_connect_info::<Peer>()).await });
    for target in PATHS {
        assert_eq!(served(&path, target, "203.0.113.7").await, 2);
        assert_eq!(served(&path, target, "203.0.113.8").await, 0, "the header is not read");
    }
}

/// What programs make of axum's example for Unix sockets.
#[derive(Clone)]
struct UnixInfo;

impl Connected<IncomingStream<'_, UnixListener>> for UnixInfo {
    fn connect_info(_: IncomingStream<'_, UnixListener>) -> UnixInfo {
        UnixInfo
    }
}

#[tokio::test]
async fn a_closure_reads_a_connect_info_of_ones_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let builder = RateGuard::builder().trusted_proxies(["unix"]);
    let app = app(builder.peer(|extensions| extensions.get::<ConnectInfo<UnixInfo>>().map(|_| Peer::Unix)));
    tokio::spawn(async { axum::serve(socket, app.into_make_service_with_connect_info::<UnixInfo>()).await });
    for target in PATHS {
        for client in ["203.0.113.7", "203.0.113.8"] {
            assert_eq!(served(&path, target, client).await, 2);
        }
    }
}

#[tokio::test]
async fn the_address_of_a_tapped_unix_listener_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let socket = UnixListener::bind(&path).unwrap().tap_io(|_| ());
    let app = app(RateGuard::builder().trusted_proxies(["unix"]));
    let service = app.into_make_service_with_connect_info::<tokio::net::unix::SocketAddr>();
    tokio::spawn(async { axum::serve(socket, service).await });
    assert_eq!(served(&path, "/attribute", "203.0.113.7").await, 2);
}

/// An address that another has found out, such as a terminator of TLS.
#[derive(Clone)]
struct TcpInfo(SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for TcpInfo {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> TcpInfo {
        TcpInfo(*stream.remote_addr())
    }
}

#[tokio::test]
async fn tcp_is_served_with_a_type_of_ones_own_or_with_peer() {
    let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own, ours, plain) = (listen().await, listen().await, listen().await);
    let addresses = [&own, &ours, &plain].map(|listener| listener.local_addr().unwrap());
    let builder = || RateGuard::builder().peer(|extensions| Some(extensions.get::<ConnectInfo<TcpInfo>>()?.0.0));
    let services = [app(builder()), app(RateGuard::builder()), app(builder())];
    let [first, second, third] = services;
    tokio::spawn(async { axum::serve(own, first.into_make_service_with_connect_info::<TcpInfo>()).await });
    tokio::spawn(async { axum::serve(ours, second.into_make_service_with_connect_info::<Peer>()).await });
    // The closure finds nothing here.
    tokio::spawn(async { axum::serve(plain, third.into_make_service_with_connect_info::<SocketAddr>()).await });
    for address in addresses {
        for path in PATHS {
            for status in [200, 200, 429] {
                let stream = TcpStream::connect(address).await.unwrap();
                assert_eq!(ask(stream, path, "6.6.6.6").await, status, "{path}");
            }
        }
    }
}
