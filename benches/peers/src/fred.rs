//! tower-rate-limit-fred: a token bucket in Redis, over a pool of twelve connections as in its example.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use fred::interfaces::ClientLike;
use fred::types::config::Config;
use fred::types::{Builder, Key};
use tower_rate_limit_fred::{KeyResolver, RateLimitLayer};

use crate::routes;

const MILLISECOND: Duration = Duration::from_millis(1);

/// The crate's keys have no policy name, so the limit is part of the key.
#[derive(Clone)]
struct ByApiKey(u32);

impl KeyResolver for ByApiKey {
    type ErrorBody = Body;

    fn key<T>(&self, request: &Request<T>) -> Result<Option<Key>, Response<Body>> {
        let value = request.headers().get("x-api-key").and_then(|value| value.to_str().ok());
        match value {
            Some(value) => Ok(Some(Key::from(format!("fred-{}-{value}", self.0)))),
            None => Err(StatusCode::UNAUTHORIZED.into_response()),
        }
    }
}

pub(crate) async fn app(url: &str) -> Router {
    let pool = Builder::from_config(Config::from_url(url).expect("a URL"))
        .with_performance_config(|config| config.default_command_timeout = Duration::from_millis(300))
        .build_pool(12)
        .expect("a pool");
    pool.init().await.expect("the server answers");
    routes(|handler, allowed| {
        let layer = RateLimitLayer::builder()
            .conn(pool.clone())
            .key_resolver(ByApiKey(allowed.requests))
            // The bucket cannot hold more.
            .capacity(u16::try_from(allowed.requests).unwrap_or(u16::MAX))
            // It refills at most a thousand per second, so it is not in scenarios where one key needs more.
            .emission_interval((Duration::from_secs(allowed.seconds.into()) / allowed.requests).max(MILLISECOND))
            .build();
        handler.layer(layer)
    })
}
