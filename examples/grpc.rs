//! A gRPC server with limits by address and by API key, and a client for it. The service is that of gRPC's health checks, so
//! that the example needs no protoc.
//!
//! ```text
//! cargo run --features grpc --example grpc                                   # the server
//! cargo run --features grpc --example grpc -- http://127.0.0.1:3000 alice    # four calls with alice's key
//! ```

use std::error::Error;

use rateguard::{ConfigError, HttpLimit, KeyBy, Quota, RateGuard, RateGuardBuilder, RateLimitLayer};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

fn layer(limiter: RateGuardBuilder) -> Result<RateLimitLayer, ConfigError> {
    Ok(RateLimitLayer::new(limiter.build()?)
        .limit("address", Quota::per_minute(100), KeyBy::Ip)
        // Only this method.
        .rule(
            HttpLimit::new("checks", Quota::per_minute(3), KeyBy::header("x-api-key"))
                .skip(|head| head.uri.path() != "/grpc.health.v1.Health/Check"),
        ))
}

async fn serve(limiter: RateGuardBuilder, incoming: TcpIncoming) -> Result<(), Box<dyn Error>> {
    let (_, health) = tonic_health::server::health_reporter();
    // `accept_http1` is only for curl, which then sees a status of gRPC.
    let server = Server::builder().accept_http1(true).layer(layer(limiter)?).add_service(health);
    Ok(server.serve_with_incoming(incoming).await?)
}

/// Four calls with one key, in words.
async fn calls(url: String, key: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut client = HealthClient::new(Endpoint::from_shared(url)?.connect().await?);
    let mut told = Vec::new();
    for _ in 0..4 {
        let mut call = Request::new(HealthCheckRequest::default());
        call.metadata_mut().insert("x-api-key", key.parse()?);
        told.push(match client.check(call).await {
            Ok(answer) => {
                let left = answer.metadata().get("x-ratelimit-remaining");
                format!("served; {} more", left.map_or("?", |left| left.to_str().unwrap_or("?")))
            }
            Err(status) => in_words(&status),
        });
    }
    Ok(told)
}

fn in_words(status: &Status) -> String {
    let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let wait = wait.map_or_else(String::new, |wait| format!(" (retry in {} s)", wait.as_secs()));
    format!("{:?}: {}{wait}", status.code(), status.message())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    if let Some(url) = arguments.next() {
        for told in calls(url, &arguments.next().unwrap_or_else(|| "anybody".to_owned())).await? {
            println!("{told}");
        }
        return Ok(());
    }
    let listener = rateguard_examples::listen(&["cargo run --features grpc --example grpc -- URL alice"]).await?;
    serve(RateGuard::builder().store_from_env(), TcpIncoming::from(listener)).await
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    #[tokio::test]
    async fn each_key_has_three_calls_a_minute() {
        let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let url = format!("http://{}", incoming.local_addr().unwrap());
        tokio::spawn(async { serve(RateGuard::builder(), incoming).await.unwrap() });
        for key in ["alice", "bob"] {
            let told = calls(url.clone(), key).await.unwrap();
            assert_eq!(told.get(..3).unwrap(), ["served; 2 more", "served; 1 more", "served; 0 more"]);
            let denied = told.get(3).unwrap();
            assert!(denied.starts_with("ResourceExhausted: No more than 3 requests in 1 minute"), "{denied}");
            assert!(denied.contains("retry in"), "{denied}");
        }
    }
}
