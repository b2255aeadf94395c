//! Identities beyond the address: cookies, path parameters, users; and the mistakes in putting them together.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::connect_info::MockConnectInfo;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer, UserId, rate_limit};
use rateguard_tests::Log;
use tower::ServiceExt;
use tracing::Level;

fn two() -> Quota {
    Quota::sliding_window(2, Duration::from_secs(60))
}

async fn ask(app: &Router, path: &str, cookie: &str) -> u16 {
    let client = MockConnectInfo(std::net::SocketAddr::from(([203, 0, 113, 7], 50_000)));
    let request = Request::builder().uri(path).header("cookie", cookie).body(Body::empty()).unwrap();
    app.clone().layer(client).oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_layer_counts_by_cookie_and_by_path_parameter() {
    let app = Router::new().route("/tenants/{tenant}/orders", get(|| async {})).layer(
        RateLimitLayer::new(RateGuard::memory()).limit("tenant", two(), KeyBy::path("tenant")).limit(
            "session",
            Quota::sliding_window(3, Duration::from_secs(60)),
            KeyBy::cookie("session"),
        ),
    );
    for status in [200, 200, 429] {
        assert_eq!(ask(&app, "/tenants/a/orders", "session=x").await, status);
    }
    assert_eq!(ask(&app, "/tenants/b/orders", "other=1; session=x").await, 200);
    assert_eq!(ask(&app, "/tenants/b/orders", "session=x").await, 429, "the session has spent its three");
    assert_eq!(ask(&app, "/tenants/b/orders", "session=y").await, 200);
}

#[tokio::test]
async fn a_layer_by_a_parameter_that_the_route_does_not_capture_answers_500() {
    let layer = RateLimitLayer::new(RateGuard::memory()).limit("tenant", two(), KeyBy::path("tenant"));
    let app = Router::new().route("/orders/{id}", get(|| async {})).layer(layer);
    assert_eq!(ask(&app, "/orders/1", "").await, 500);
}

async fn authenticate(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(UserId::new("alice"));
    next.run(request).await
}

#[rate_limit(limit = 100, window = 60, key = "user")]
async fn handler() {}

#[tokio::test]
async fn authentication_that_runs_after_the_limit_is_said_once_with_the_mend() {
    let log = Log::capture_all(Level::INFO);
    let limit = || RateLimitLayer::new(RateGuard::memory()).limit("by-user", two(), KeyBy::User);
    let logged = || log.text();

    let right = Router::new().route("/", get(handler)).layer(limit()).layer(middleware::from_fn(authenticate));
    assert_eq!(ask(&right, "/", "").await, 200);
    assert_eq!(logged(), "");

    let wrong = Router::new().route("/", get(handler)).layer(middleware::from_fn(authenticate)).layer(limit());
    for _ in 0..2 {
        assert_eq!(ask(&wrong, "/", "").await, 200);
    }
    let logged = logged();
    assert_eq!(logged.matches("add the authentication layer after the RateLimitLayer").count(), 1, "{logged}");
}
