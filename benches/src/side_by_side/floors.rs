//! The floors for the comparison: a handler alone, and the cheapest round trips to Redis.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::client::{Client, Connection};

/// The handler behind every limiter.
pub(crate) async fn handler() -> &'static str {
    "hello"
}

/// The handler alone.
pub(crate) fn bare() -> Router {
    routes(&|router, path| router.route(path, get(handler)))
}

/// The answers of a limiter without limiting: the headers, and a denial that is prepared in advance.
pub(crate) fn answer() -> Router {
    async fn allowed() -> impl IntoResponse {
        (COUNTS.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))), handler().await)
    }
    async fn denied() -> impl IntoResponse {
        let more = [
            (header::RETRY_AFTER.as_str(), "3600"),
            (header::CACHE_CONTROL.as_str(), "no-store"),
            (header::CONTENT_TYPE.as_str(), "application/problem+json"),
        ];
        let headers = [COUNTS, more];
        let headers = headers.as_flattened().iter();
        let headers = headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        (StatusCode::TOO_MANY_REQUESTS, headers.collect::<HeaderMap>(), DENIAL)
    }
    routes(&|router, path| match path {
        "/deny" => router.route(path, get(denied)),
        _ => router.route(path, get(allowed)),
    })
}

const COUNTS: [(&str, &str); 3] =
    [("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "50"), ("x-ratelimit-reset", "2")];

/// As long as our response.
const DENIAL: &str = r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"The quota for these requests is spent","status":429,"detail":"No more than 1 request in 1 hour; try again in 3600 s","violated-policies":["rateguard_benches::ours::deny"]}"#;

/// One `PING` per request.
pub(crate) fn ping<C: Connection>(redis: C) -> Router {
    async fn limited<C: Connection>(State(mut redis): State<C>) -> &'static str {
        let _: String = redis::cmd("PING").query_async(&mut redis).await.expect("PONG");
        handler().await
    }
    routes(&|router, path| router.route(path, get(limited::<C>))).with_state(redis)
}

/// One `INCR` of the client's key per request.
pub(crate) fn incr<C: Connection>(redis: C) -> Router {
    async fn limited<C: Connection>(State(mut redis): State<C>, Client(key): Client) -> &'static str {
        let _: u64 = redis::cmd("INCR").arg(key).query_async(&mut redis).await.expect("a number");
        handler().await
    }
    routes(&|router, path| router.route(path, get(limited::<C>))).with_state(redis)
}

fn routes<S: Clone + Send + Sync + 'static>(add: &dyn Fn(Router<S>, &'static str) -> Router<S>) -> Router<S> {
    ["/spread", "/hot", "/deny", "/two-limits"].into_iter().fold(Router::new(), add)
}
