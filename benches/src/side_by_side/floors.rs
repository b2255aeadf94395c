//! The floors for the comparison: a handler alone, the cheapest round trips to Redis, and the script of tutorials.

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use redis::IntoConnectionInfo;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;

/// The handler behind every limiter.
async fn handler() -> &'static str {
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
pub(crate) async fn ping(url: &str) -> Router {
    async fn limited(State(mut redis): State<MultiplexedConnection>) -> &'static str {
        let _: String = redis::cmd("PING").query_async(&mut redis).await.expect("PONG");
        handler().await
    }
    let app = routes(&|router, path| router.route(path, get(limited)));
    app.with_state(connection(url).await)
}

/// One `INCR` of the client's key per request.
pub(crate) async fn incr(url: &str) -> Router {
    async fn limited(State(mut redis): State<MultiplexedConnection>, Client(key): Client) -> &'static str {
        let _: u64 = redis::cmd("INCR").arg(key).query_async(&mut redis).await.expect("a number");
        handler().await
    }
    let app = routes(&|router, path| router.route(path, get(limited)));
    app.with_state(connection(url).await)
}

const TEXTBOOK: &str = "\
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - window)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now, ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.floor(window / 1000))
return 1";

#[derive(Clone)]
struct Naive {
    redis: MultiplexedConnection,
    hash: String,
}

impl Naive {
    async fn check(mut self, key: &str, limit: u32, window: u64) -> Result<&'static str, StatusCode> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static HITS: AtomicU64 = AtomicU64::new(0);
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.hash).arg(1).arg(key).arg(limit).arg(window).arg(HITS.fetch_add(1, Ordering::Relaxed));
        let allowed: bool = call.query_async(&mut self.redis).await.expect("an answer");
        if allowed { Ok(handler().await) } else { Err(StatusCode::TOO_MANY_REQUESTS) }
    }
}

/// The sliding window of tutorials: a sorted set and a script, one call per request.
pub(crate) async fn naive(url: &str) -> Router {
    const SECOND: u64 = 1_000_000;
    let mut redis = connection(url).await;
    let hash = redis::cmd("SCRIPT").arg("LOAD").arg(TEXTBOOK).query_async(&mut redis).await.expect("loaded");
    Router::new()
        .route(
            "/spread",
            get(async |State(naive): State<Naive>, Client(key): Client| {
                naive.check(&format!("spread:{key}"), 100, 2 * SECOND).await
            }),
        )
        .route(
            "/hot",
            get(async |State(naive): State<Naive>, Client(key): Client| {
                naive.check(&format!("hot:{key}"), 1_000_000, SECOND).await
            }),
        )
        .route(
            "/deny",
            get(async |State(naive): State<Naive>, Client(key): Client| {
                naive.check(&format!("deny:{key}"), 1, 3600 * SECOND).await
            }),
        )
        .with_state(Naive { redis, hash })
}

fn routes<S: Clone + Send + Sync + 'static>(add: &dyn Fn(Router<S>, &'static str) -> Router<S>) -> Router<S> {
    ["/spread", "/hot", "/deny", "/two-limits"].into_iter().fold(Router::new(), add)
}

/// The client of a request.
struct Client(String);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Client, StatusCode> {
        let value = parts.headers.get("x-api-key").and_then(|value| value.to_str().ok());
        value.map(|value| Client(value.to_owned())).ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// The fastest usual connection: one for all requests, with `TCP_NODELAY`.
async fn connection(url: &str) -> MultiplexedConnection {
    let info = url.into_connection_info().expect("a URL");
    let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let client = redis::Client::open(info).expect("a client");
    client.get_multiplexed_async_connection().await.expect("a connection")
}
