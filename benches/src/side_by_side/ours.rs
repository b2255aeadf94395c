//! rateguard, set up as in the README: the attribute above the handler, the layer around the routes, with headers.

use axum::Router;
use axum::routing::get;
use rateguard::{RateGuard, RateLimitLayer, rate_limit};

#[rate_limit(limit = 100, window = 2, key = "header:x-api-key")]
async fn spread() -> &'static str {
    "hello"
}

#[rate_limit(limit = 1_000_000, window = 1, key = "header:x-api-key")]
async fn hot() -> &'static str {
    "hello"
}

#[rate_limit(limit = 1, window = "1h", key = "header:x-api-key")]
async fn deny() -> &'static str {
    "hello"
}

#[rate_limit(limit = 50, window = 1, key = "header:x-api-key", name = "a-second")]
#[rate_limit(limit = 100, window = 2, key = "header:x-api-key", name = "two-seconds")]
async fn two_limits() -> &'static str {
    "hello"
}

fn app(limiter: RateGuard) -> Router {
    Router::new()
        .route("/spread", get(spread))
        .route("/hot", get(hot))
        .route("/deny", get(deny))
        .route("/two-limits", get(two_limits))
        .layer(RateLimitLayer::new(limiter))
}

/// Counting in this process.
pub(crate) fn memory() -> Router {
    app(RateGuard::memory())
}

/// Counting in a Redis server or in a cluster.
pub(crate) async fn redis(url: &str, compact: bool) -> Router {
    // A prefix for each, so that the two do not share counts.
    let prefix = if compact { "compact" } else { "plain" };
    let limiter = RateGuard::builder().redis(url).compact_log(compact).prefix(prefix).build().expect("a limiter");
    limiter.ready().await.expect("the server answers");
    app(limiter)
}
