//! Quotas that are changed without a new program: while it runs, and when it starts.

mod configured;
mod one_name;
mod set;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use rateguard::{
    Algorithm, Check, Decision, Headers, HttpLimit, Key, KeyBy, ManualClock, OnError, Policy, Quota, RateGuard,
    RateGuardBuilder, RateLimitLayer, rate_limit,
};
use rateguard_tests::{App, Log, RedisServer, connected};
use tracing::Level;

const MINUTE: Duration = Duration::from_secs(60);
const SEARCH: Policy = Policy::new("search", Quota::sliding_window(3, MINUTE));

#[rate_limit(limit = 3, window = 60, name = "search")]
async fn search() {}

#[rate_limit(limit = 3, window = 60, name = "deferred", key = uri.path())]
async fn deferred(uri: Uri) {
    let _ = uri;
}

#[rate_limit(limit = 3, window = 60, name = "mild", refund_if = |res| res.status().is_success())]
async fn mild() -> StatusCode {
    StatusCode::OK
}

fn routes() -> Router {
    Router::new().route("/search", get(search)).route("/deferred", get(deferred)).route("/mild", get(mild))
}

fn quota(text: &str) -> Quota {
    text.parse().unwrap()
}

/// What holds in each store.
async fn everywhere(check: impl AsyncFn(RateGuard)) {
    check(RateGuard::memory()).await;
    let server = RedisServer::start();
    check(connected(RateGuard::builder(), &server).await).await;
}

fn client() -> Key {
    Key::ip([192, 0, 2, 1])
}

async fn limit_of(builder: RateGuardBuilder, name: &str) -> u32 {
    let policy = Policy::try_new(name.to_owned(), quota("3/1m")).unwrap();
    builder.build().unwrap().check(&policy, &client()).await.limit()
}
