//! A mistake in a program's setup is logged once a process, so no other test of this program may make the same one.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use rateguard::{KeyBy, Quota, RateGuard, RateGuardBuilder, RateLimitLayer, rate_limit};
use rateguard_tests::{Log, request};
use tower::ServiceExt;
use tracing::Level;

#[rate_limit(limit = 2, window = 60, key = "ip")]
async fn attribute() {}

/// By the attribute, and by a layer.
fn app(builder: RateGuardBuilder) -> Router {
    let limiter = builder.build().unwrap();
    let quota = Quota::sliding_window(2, Duration::from_secs(60));
    let limit = RateLimitLayer::new(limiter.clone()).limit("layer", quota, KeyBy::Ip);
    let layered = Router::new().route("/layer", get(|| async {})).layer(limit);
    Router::new().route("/attribute", get(attribute)).layer(RateLimitLayer::new(limiter)).merge(layered)
}

#[tokio::test]
async fn without_a_peer_the_answer_is_500_and_the_log_has_a_line_for_each_sort_of_server() {
    let (log, _guard) = Log::capture(Level::INFO);
    let by_closure = RateGuard::builder().peer(|extensions| Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0));
    for (builder, advice) in [
        (
            RateGuard::builder().trusted_proxies(["unix"]),
            &[
                "into_make_service_with_connect_info::<std::net::SocketAddr>()",
                "into_make_service_with_connect_info::<rateguard::Peer>()",
                ".trusted_proxies([\\\"unix\\\"])",
                ".peer(|extensions|",
            ][..],
        ),
        (by_closure, &["RateGuardBuilder::peer", "returned None"]),
    ] {
        let app = app(builder);
        let before = log.text().len();
        for path in ["/attribute", "/layer"] {
            // As from a server that tells nothing of its connections.
            assert_eq!(app.clone().oneshot(request(path)).await.unwrap().status(), 500);
        }
        let said = log.text().split_off(before);
        assert_eq!(said.matches("needs the other end of the connection").count(), 1, "{said}");
        for words in advice {
            assert!(said.contains(words) || said.contains(&words.replace('\\', "")), "{words} in {said}");
        }
    }
}
