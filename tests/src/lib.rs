//! What the tests share: real Redis servers, and a real listener.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on says so"
)]

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;

mod authority;
mod calls;
mod delay_line;
mod every_store;
pub mod history;
mod log;
mod nginx;
mod ports;
mod proxy;
pub mod quiet;
mod quotas;
mod redis_cluster;
mod redis_server;
mod sentinel;
mod server_clock;
mod server_program;
mod tls_proxy;
mod upstash_server;

pub use authority::Authority;
pub use calls::{Answer, App, request};
pub use delay_line::DelayLine;
pub use log::Log;
pub use nginx::Nginx;
pub use ports::free_port;
pub(crate) use ports::free_port_with;
pub use proxy::{Fault, Proxy};
pub use quotas::{ALGORITHMS, one_of_each_form};
pub use redis_cluster::RedisCluster;
pub use redis_server::RedisServer;
pub use sentinel::Sentinels;
pub use server_clock::ServerClock;
pub use server_program::ServerProgram;
pub use tls_proxy::TlsProxy;
pub use upstash_server::{Illness, UpstashServer};

/// Serves an app on a real listener until the test's runtime ends.
pub async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// A limiter that has reached its server.
pub async fn connected(builder: rateguard::RateGuardBuilder, server: &RedisServer) -> rateguard::RateGuard {
    let limiter = builder.redis(server.url()).deadline(Duration::from_secs(10)).build().expect("a limiter");
    limiter.ready().await.expect("the server answers");
    limiter
}

/// The same, by Upstash's protocol.
pub async fn connected_upstash(builder: rateguard::RateGuardBuilder, server: &UpstashServer) -> rateguard::RateGuard {
    let builder = builder.upstash(server.url(), UpstashServer::TOKEN).deadline(Duration::from_secs(10));
    let limiter = builder.build().expect("a limiter");
    limiter.ready().await.expect("the service answers");
    limiter
}

/// The I/O error that an error comes from, if there is one.
pub fn io_error(error: &(dyn std::error::Error + 'static)) -> Option<std::io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}
