//! What a client sees, through a real listener.

mod bodies;
mod quotas;
mod setup;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::routing::{get, post};
use axum::{Json, Router};
use rateguard::{HttpLimit, Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, UserId, rate_limit};
use rateguard_tests::{RedisServer, connected, serve};
use reqwest::{Client, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MINUTE: Duration = Duration::from_secs(60);

fn quota(limit: u32) -> Quota {
    Quota::sliding_window(limit, MINUTE)
}

fn header(response: &Response, name: &str) -> Option<String> {
    let mut values = response.headers().get_all(name).iter();
    let value = values.next()?.to_str().unwrap().to_owned();
    assert!(values.next().is_none(), "{name} is doubled");
    Some(value)
}

fn number(response: &Response, name: &str) -> Option<u64> {
    header(response, name).map(|value| value.parse().unwrap())
}

fn quota_headers(response: &Response) -> (Option<u64>, Option<u64>, Option<u64>) {
    (
        number(response, "x-ratelimit-limit"),
        number(response, "x-ratelimit-remaining"),
        number(response, "x-ratelimit-reset"),
    )
}

async fn fetch(address: SocketAddr, path: &str) -> Response {
    Client::new().get(format!("http://{address}{path}")).send().await.unwrap()
}

async fn fetch_with(address: SocketAddr, path: &str, name: &str, value: &str) -> Response {
    Client::new().get(format!("http://{address}{path}")).header(name, value).send().await.unwrap()
}

#[rate_limit(limit = 3, window = 60, key = "ip")]
async fn three() -> &'static str {
    "three"
}

#[rate_limit(limit = 2, window = "1m", key = "header:x-api-key")]
async fn by_key() {}

#[rate_limit(limit = 2, window = Duration::from_secs(60), key = "user")]
async fn by_user() {}

#[rate_limit(limit = 2, window = 60, key = "global")]
async fn by_all() {}

#[rate_limit(limit = 2, window = 60, name = "shared-name")]
async fn shares_one() {}

#[rate_limit(limit = 2, window = 60, name = "shared-name")]
async fn shares_two() {}

fn app(limiter: RateGuard) -> Router {
    Router::new()
        .route("/three", get(three))
        .route("/key", get(by_key))
        .route("/user", get(by_user))
        .route("/all", get(by_all))
        .route("/one", get(shares_one))
        .route("/two", get(shares_two))
        .layer(RateLimitLayer::new(limiter))
        .layer(middleware::from_fn(authenticate))
}

/// Believes every word: the tests are not about authentication.
async fn authenticate(mut request: Request, next: Next) -> axum::response::Response {
    if let Some(user) = request.headers().get("x-user") {
        let user = UserId::new(user.to_str().unwrap());
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

static BODIES: AtomicUsize = AtomicUsize::new(0);

#[rate_limit(limit = 1, window = 60)]
async fn create(Json(value): Json<serde_json::Value>) -> Json<serde_json::Value> {
    BODIES.fetch_add(1, Ordering::Relaxed);
    Json(value)
}
