//! Public handlers in a library that denies every lint: generated code raises none, and hides what it adds.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub,
    unused_qualifications,
    single_use_lifetimes,
    clippy::all,
    clippy::pedantic,
    clippy::nursery
)]

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use rateguard::rate_limit;

/// Without arguments.
#[rate_limit(limit = 2, window = 60)]
pub async fn alone() -> &'static str {
    std::future::ready("alone").await
}

/// With everything that a request's head decides.
#[rate_limit(
    limit = 2,
    window = "1m",
    key = ("ip", "header:x-plan", |req| req.uri.path()),
    algorithm = "token_bucket",
    burst = 2,
    cost = |_| 1,
    name = "quiet",
    on_error = "closed",
    skip = |req: &Parts| req.method == "OPTIONS",
    refund_if = |res| res.status().is_server_error(),
    shadow = cfg!(not(test)),
)]
#[rate_limit(limit = 100, window = "1h", key = "global")]
pub async fn head(State(greeting): State<&'static str>, Path(id): Path<u32>) -> String {
    std::future::ready(format!("{greeting} {id}")).await
}

/// With everything that the arguments decide.
///
/// # Errors
///
/// Where there are no words.
#[rate_limit(limit = 4, window = 60, key = (id, &words), cost = words.len().min(2), skip = id == 0)]
pub async fn arguments(Path(id): Path<u32>, Query(words): Query<String>) -> Result<Json<usize>, String> {
    if words.is_empty() {
        return Err(std::future::ready(words).await);
    }
    Ok(Json(words.len()))
}

/// With an answer that has no name.
#[rate_limit(limit = 2, window = 60, key = id)]
pub async fn unnamed(Path(id): Path<u32>) -> impl IntoResponse {
    std::future::ready(id.to_string()).await
}
