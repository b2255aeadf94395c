//! Two servers, one quota: both count in the same Redis, and keep serving during an outage.
//!
//! ```text
//! redis-server --save '' --port 6379                # one Redis; set REDIS_URL=redis://host:port for another one
//! cargo run --example redis                         # one server
//! PORT=3001 cargo run --example redis               # and another, in a second terminal
//! for i in 1 2 3; do curl -i http://127.0.0.1:3000/; curl -i http://127.0.0.1:3001/; done     # the sixth request gets a 429
//! redis-cli --scan --pattern 'shop:*'               # the keys in Redis
//! curl -i http://127.0.0.1:3000/health              # stop Redis and ask again: degraded, but / still answers
//! ```

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use rateguard::{OnError, RateGuard, RateLimitLayer, rate_limit};

/// Five per minute for each client, over both servers together.
#[rate_limit(limit = 5, window = 60, key = "ip", name = "orders")]
async fn orders(State(server): State<SocketAddr>) -> String {
    format!("your orders, from the server on port {}\n", server.port())
}

/// For operators, not for the load balancer: without Redis the servers still serve, so none of them should be removed.
async fn health(State(limiter): State<RateGuard>) -> String {
    match limiter.ready().await {
        Ok(()) => "counting together\n".to_owned(),
        Err(error) => format!("degraded, counting alone: {error}\n"),
    }
}

fn limiter(url: &str) -> Result<RateGuard, rateguard::ConfigError> {
    RateGuard::builder()
        .redis(url)
        // Programs that should not share counts use different prefixes.
        .prefix("shop")
        // A check without an answer after this time is answered without Redis:
        .deadline(Duration::from_millis(100))
        // by this server's own count, with half of the quota, since there are two servers.
        .on_error(OnError::local_share(2))
        .build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // An outage is one warning in the log, and its end is one more line.
    tracing_subscriber::fmt().init();
    // An error here means that the URL is wrong. If Redis is down, that is not an error: the limiter connects later.
    let limiter = limiter(&env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned()))?;
    let listener = rateguard_examples::listen(&["curl -i URL/", "curl -i URL/health"]).await?;
    let app = Router::new()
        .route("/", get(orders))
        .with_state(listener.local_addr()?)
        .layer(RateLimitLayer::new(limiter.clone()))
        // Outside of the layer, so that no limit counts it.
        .merge(Router::new().route("/health", get(health)).with_state(limiter));
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
