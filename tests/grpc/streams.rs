//! Calls with streams.

use rateguard::{KeyBy, RateGuard};
use tonic::Code;
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
