//! tower-rate-limiter: a fixed window, in memory (moka) or in Redis (the Lua script).

use std::time::Duration;

use axum::Router;
use axum::http::Request;
use tower_rate_limiter::{KeyExtractor, MemoryStore, RateLimitError, RateLimitLayer, RedisStore};

use crate::routes;

#[derive(Clone, Copy)]
struct ByApiKey;

impl KeyExtractor for ByApiKey {
    type Key = String;

    fn extract<B>(&self, request: &Request<B>) -> Result<String, RateLimitError> {
        let value = request.headers().get("x-api-key").and_then(|value| value.to_str().ok());
        let missing = || RateLimitError::Key("missing".to_owned(), "x-api-key is required".to_owned());
        value.map(str::to_owned).ok_or_else(missing)
    }
}

pub(crate) fn memory() -> Router {
    routes(|handler, allowed| {
        let layer = RateLimitLayer::builder(ByApiKey)
            .policy_name("policy")
            .limit(allowed.requests.into())
            .window(Duration::from_secs(allowed.seconds.into()))
            .with_store(MemoryStore::new())
            .build();
        handler.layer(layer.expect("a policy"))
    })
}

pub(crate) async fn redis(url: &str) -> Router {
    let client = redis::Client::open(url).expect("a client");
    let connection = client.get_multiplexed_async_connection().await.expect("a connection");
    routes(|handler, allowed| {
        let store = RedisStore::new(connection.clone()).with_namespace(format!("trl-{}", allowed.requests));
        let layer = RateLimitLayer::builder(ByApiKey)
            .policy_name("policy")
            .limit(allowed.requests.into())
            .window(Duration::from_secs(allowed.seconds.into()))
            .with_key_encoder(|key| key.to_string())
            .with_store(store)
            .build();
        handler.layer(layer.expect("a policy"))
    })
}
