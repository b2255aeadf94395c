//! trypema: a sliding window of buckets of 10 ms in Redis, its absolute strategy. It has no layer of its own.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use trypema::redis::{RedisKey, RedisRateLimiterProvider};
use trypema::{BucketSize, RateLimit, RateLimitDecision, RateLimiterBuilder, WindowSize};

use crate::routes;

#[derive(Clone)]
struct Limiter {
    provider: Arc<RedisRateLimiterProvider>,
    rate: RateLimit,
}

async fn check(State(limiter): State<Limiter>, request: Request, next: Next) -> Response {
    let value = request.headers().get("x-api-key").and_then(|value| value.to_str().ok());
    let Some(Ok(key)) = value.map(RedisKey::try_from) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    match limiter.provider.absolute().inc(&key, &limiter.rate, 1).await {
        Ok(RateLimitDecision::Allowed) => next.run(request).await,
        Ok(_) => StatusCode::TOO_MANY_REQUESTS.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

pub(crate) async fn app(url: &str) -> Router {
    let client = redis::Client::open(url).expect("a client");
    let connection = client.get_connection_manager().await.expect("a connection");
    routes(|handler, allowed| {
        let prefix = RedisKey::try_from(format!("trypema-{}", allowed.requests)).expect("a prefix");
        let provider = RedisRateLimiterProvider::builder(connection.clone())
            .prefix(prefix)
            .window_size(WindowSize::seconds_or_panic(allowed.seconds.into()))
            .bucket_size(BucketSize::milliseconds_or_panic(10))
            .build()
            .expect("a provider");
        let rate = RateLimit::per_second_or_panic(f64::from(allowed.requests) / f64::from(allowed.seconds));
        handler.layer(from_fn_with_state(Limiter { provider, rate }, check))
    })
}
