//! The sliding window of tutorials: a sorted set and a script, one call per request.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::client::{Client, Connection};
use crate::floors::handler;

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
struct Naive<C> {
    redis: C,
    hash: String,
}

impl<C: Connection> Naive<C> {
    async fn check(mut self, key: &str, limit: u32, window: u64) -> Result<&'static str, StatusCode> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static HITS: AtomicU64 = AtomicU64::new(0);
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.hash).arg(1).arg(key).arg(limit).arg(window).arg(HITS.fetch_add(1, Ordering::Relaxed));
        let allowed: bool = call.query_async(&mut self.redis).await.expect("an answer");
        if allowed { Ok(handler().await) } else { Err(StatusCode::TOO_MANY_REQUESTS) }
    }
}

/// The app. In a cluster, every node has the script.
pub(crate) async fn naive<C: Connection>(mut redis: C) -> Router {
    const SECOND: u64 = 1_000_000;
    let hash = redis::cmd("SCRIPT").arg("LOAD").arg(TEXTBOOK).query_async(&mut redis).await.expect("loaded");
    Router::new()
        .route(
            "/spread",
            get(async |State(naive): State<Naive<C>>, Client(key): Client| {
                naive.check(&format!("spread:{key}"), 100, 2 * SECOND).await
            }),
        )
        .route(
            "/hot",
            get(async |State(naive): State<Naive<C>>, Client(key): Client| {
                naive.check(&format!("hot:{key}"), 1_000_000, SECOND).await
            }),
        )
        .route(
            "/deny",
            get(async |State(naive): State<Naive<C>>, Client(key): Client| {
                naive.check(&format!("deny:{key}"), 1, 3600 * SECOND).await
            }),
        )
        .with_state(Naive { redis, hash })
}
