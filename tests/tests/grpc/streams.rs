//! Calls with streams.

use std::time::Duration;

use axum::http::uri::PathAndQuery;
use rateguard::{KeyBy, RateGuard};
use tonic::codegen::tokio_stream;
use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::HealthCheckResponse;

use super::service::{call, client, serve, two};

#[tokio::test]
async fn a_stream_is_counted_once_and_arrives_with_its_trailers() {
    let limiter = RateGuard::memory();
    let mut client = client(serve(&limiter, two(&limiter, KeyBy::Ip))).await;

    let mut whole = client.watch(call("", &[])).await.unwrap();
    assert_eq!(whole.metadata().get("x-ratelimit-remaining").unwrap(), "1");
    let mut messages: Vec<HealthCheckResponse> = Vec::new();
    while let Some(message) = whole.get_mut().message().await.unwrap() {
        messages.push(message);
    }
    assert_eq!(messages.len(), 3);
    assert!(whole.get_mut().trailers().await.unwrap().is_some());

    let mut aborted = client.watch(call("aborted", &[])).await.unwrap().into_inner();
    for _ in 0..3 {
        assert!(aborted.message().await.unwrap().is_some());
    }
    let status = aborted.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "the third was the last"));

    let denied = client.watch(call("", &[])).await.unwrap_err();
    assert_eq!(denied.code(), Code::ResourceExhausted);
    assert_eq!(denied.message(), "No more than 2 requests in 1 minute; try again in 60 s");
}

#[tokio::test]
async fn a_denied_upload_is_told_though_it_never_ends() {
    let limiter = RateGuard::memory();
    let address = serve(&limiter, two(&limiter, KeyBy::Ip));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut calls = tonic::client::Grpc::new(channel);
    // The service has no such method, so that an allowed call ends as well.
    for code in [Code::Unimplemented, Code::Unimplemented, Code::ResourceExhausted, Code::ResourceExhausted] {
        calls.ready().await.unwrap();
        let endless = std::iter::repeat_with(|| HealthCheckRequest { service: "x".repeat(50_000) });
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/Upload");
        let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        let call = calls.client_streaming(Request::new(tokio_stream::iter(endless)), path, codec);
        let answer = tokio::time::timeout(Duration::from_secs(20), call).await.unwrap();
        assert_eq!(answer.unwrap_err().code(), code);
    }
}
