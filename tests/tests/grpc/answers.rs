//! What a client of gRPC is told.

use std::time::Duration;

use axum::http::StatusCode;
use rateguard::{Denied, HttpLimit, KeyBy, ManualClock, OnError, Quota, RateGuard, RateLimitLayer};
use rateguard_tests::free_port;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::service::{call, check, client, serve, two};

fn metadata<'s>(status: &'s Status, name: &str) -> Option<&'s str> {
    status.metadata().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_denial_is_resource_exhausted_with_the_time_to_wait() {
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
    let layer = RateLimitLayer::new(limiter.clone())
        .rule(HttpLimit::new("größe", Quota::per_minute(1), KeyBy::Ip).unit("checks"));
    let mut client = client(serve(&limiter, layer)).await;
    let allowed = check(&mut client, &[]).await.unwrap();
    assert_eq!(
        (&allowed["x-ratelimit-limit"], &allowed["x-ratelimit-remaining"]),
        (&"1".parse().unwrap(), &"0".parse().unwrap())
    );
    clock.advance(Duration::from_micros(18_499_500));

    let denied = check(&mut client, &[]).await.unwrap_err();
    assert_eq!(denied.code(), Code::ResourceExhausted);
    assert_eq!(denied.message(), "No more than 1 check in 1 minute; try again in 42 s");
    for (name, value) in [
        ("grpc-retry-pushback-ms", "41501"),
        ("retry-after", "42"),
        ("x-ratelimit-limit", "1"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "42"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(metadata(&denied, name), Some(value), "{name}");
    }
    let details = denied.check_error_details().unwrap();
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_micros(41_500_500)));
    assert!(!denied.details().is_empty());
}

#[tokio::test]
async fn a_call_that_is_larger_than_its_limit_is_not_to_be_tried_again() {
    let limiter = RateGuard::memory();
    let limit = HttpLimit::new("costly", Quota::per_minute(1), KeyBy::Ip).cost(|_| 2);
    let mut client = client(serve(&limiter, RateLimitLayer::new(limiter.clone()).rule(limit))).await;
    let denied = check(&mut client, &[]).await.unwrap_err();
    assert_eq!(denied.code(), Code::ResourceExhausted);
    assert_eq!(metadata(&denied, "grpc-retry-pushback-ms"), Some("-1"));
    assert!(denied.get_details_retry_info().is_none());
}

#[tokio::test]
async fn an_outage_is_unavailable_if_the_limit_is_closed() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let limiter = RateGuard::builder().redis(url).on_error(OnError::Closed).build().unwrap();
    let mut client = client(serve(&limiter, two(&limiter, KeyBy::Ip))).await;
    let denied = check(&mut client, &[]).await.unwrap_err();
    assert_eq!((denied.code(), denied.message()), (Code::Unavailable, "Requests cannot be counted at the moment"));
    assert_eq!(metadata(&denied, "grpc-retry-pushback-ms"), Some("1000"));
    assert_eq!(denied.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_setup_error_is_internal() {
    let limiter = RateGuard::memory();
    let mut client = client(serve(&limiter, two(&limiter, KeyBy::path("tenant")))).await;
    let status = check(&mut client, &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(status.message(), "The rate limit of this route is not set up; the server's log says how.");
}

#[tokio::test]
async fn a_program_that_answers_for_itself_answers_calls_too() {
    let limiter = RateGuard::memory();
    let layer = two(&limiter, KeyBy::Global).on_denied(|denied: &Denied| {
        assert!(denied.is_grpc());
        let mut response = denied.default_response();
        response.headers_mut().insert("grpc-status", "7".parse().unwrap());
        response
    });
    let mut client = client(serve(&limiter, layer)).await;
    for code in [Code::Ok, Code::Ok, Code::PermissionDenied] {
        assert_eq!(check(&mut client, &[]).await.err().map_or(Code::Ok, |status| status.code()), code);
    }

    let limiter = RateGuard::builder().on_setup_error(|_| (StatusCode::OK, [("grpc-status", "12")])).build().unwrap();
    let mut client = super::service::client(serve(&limiter, two(&limiter, KeyBy::path("tenant")))).await;
    assert_eq!(check(&mut client, &[]).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_denial_inside_of_a_method_is_the_same_status() {
    let limiter = RateGuard::memory();
    let mut client = client(serve(&limiter, RateLimitLayer::new(limiter.clone()))).await;
    client.check(call("a", &[])).await.unwrap();
    let denied = client.check(call("a", &[])).await.unwrap_err();
    assert_eq!(denied.code(), Code::ResourceExhausted);
    assert_eq!(denied.message(), "No more than 1 request in 1 minute; try again in 60 s");
    assert!(metadata(&denied, "grpc-retry-pushback-ms").is_some());
    assert!(denied.get_details_retry_info().is_some());
    client.check(call("b", &[])).await.unwrap();
}

#[tokio::test]
async fn failed_calls_can_be_given_back_by_the_status_in_the_headers() {
    let limiter = RateGuard::memory();
    let limit = HttpLimit::new("found", Quota::per_minute(1), KeyBy::Ip)
        .refund_if(|response| response.headers().get("grpc-status").is_some_and(|status| status == "5"));
    let mut client = client(serve(&limiter, RateLimitLayer::new(limiter.clone()).rule(limit))).await;
    for code in [Code::NotFound, Code::NotFound] {
        assert_eq!(client.check(call("unknown", &[])).await.unwrap_err().code(), code);
    }
    check(&mut client, &[]).await.unwrap();
    assert_eq!(check(&mut client, &[]).await.unwrap_err().code(), Code::ResourceExhausted);
}
