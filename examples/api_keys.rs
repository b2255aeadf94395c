//! Quotas by API key: verify the key first, then count by its owner. Also: what happens if you do not.
//!
//! ```text
//! cargo run --example api_keys
//! curl -i -H 'x-api-key: key-of-anna' http://127.0.0.1:3000/data      # 3 per minute for Anna, from any address
//! curl -i -H 'x-api-key: a-guess' http://127.0.0.1:3000/data          # 401, and 10 per minute from one address
//!
//! # The mistake: nobody verifies the header, so each new value has a new quota. This limit never denies.
//! for i in 1 2 3 4 5 6 7 8; do curl -s -o /dev/null -w '%{http_code}\n' -H "x-api-key: $RANDOM" http://127.0.0.1:3000/mistaken; done
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer, UserId, rate_limit};

/// The owner of a key. A real program looks up the key's hash in its database.
fn owner(key: &[u8]) -> Option<&'static str> {
    match key {
        b"key-of-anna" => Some("anna"),
        b"key-of-ben" => Some("ben"),
        _ => None,
    }
}

/// Rejects requests without a known key. Tells the inner limits who owns the key.
async fn verify(mut request: Request, next: Next) -> Response {
    let Some(owner) = request.headers().get("x-api-key").and_then(|key| owner(key.as_bytes())) else {
        return (StatusCode::UNAUTHORIZED, "this needs the header x-api-key, with a key that we know\n")
            .into_response();
    };
    request.extensions_mut().insert(UserId::new(owner));
    next.run(request).await
}

#[rate_limit(limit = 3, window = 60, key = "user")]
async fn data() -> &'static str {
    "data\n"
}

/// DON'T: the sender of an unverified header can write any value.
#[rate_limit(limit = 3, window = 60, key = "header:x-api-key")]
async fn mistaken() -> &'static str {
    "data for everyone\n"
}

fn app(limiter: RateGuard) -> Router {
    let verified = Router::new().route("/data", get(data)).layer(middleware::from_fn(verify));
    Router::new()
        .merge(verified)
        .route("/mistaken", get(mistaken))
        // Outside of `verify`, so that guesses of keys are limited: ten requests per minute from one address.
        .layer(RateLimitLayer::new(limiter).limit(
            "address",
            Quota::sliding_window(10, Duration::from_secs(60)),
            KeyBy::Ip,
        ))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(RateGuard::from_env()?);
    let listener = rateguard_examples::listen(&["curl -i -H 'x-api-key: key-of-anna' URL/data"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router, from: u8, path: &str, key: &str) -> u16 {
        let client = rateguard_examples::client([203, 0, 113, from]);
        let request = Request::get(path).header("x-api-key", key).extension(client).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn a_key_has_one_quota_wherever_it_is_used() {
        let app = app(RateGuard::memory());
        for (from, status) in [(1, 200), (2, 200), (3, 200), (4, 429)] {
            assert_eq!(ask(&app, from, "/data", "key-of-anna").await, status);
        }
        assert_eq!(ask(&app, 1, "/data", "key-of-ben").await, 200);
    }

    #[tokio::test]
    async fn guesses_are_counted_by_address() {
        let app = app(RateGuard::memory());
        for guess in 0..10 {
            assert_eq!(ask(&app, 1, "/data", &format!("guess-{guess}")).await, 401);
        }
        assert_eq!(ask(&app, 1, "/data", "guess-10").await, 429);
        assert_eq!(ask(&app, 2, "/data", "guess-10").await, 401);
    }

    #[tokio::test]
    async fn an_unverified_header_limits_only_clients_that_repeat_its_value() {
        let app = app(RateGuard::memory());
        for key in 0..10 {
            assert_eq!(ask(&app, 1, "/mistaken", &format!("invented-{key}")).await, 200, "that is the mistake");
        }
        assert_eq!(ask(&app, 1, "/mistaken", "invented-10").await, 429, "only the limit by address helps");
    }
}
