//! Peek, reset and refund, in every store; and charges that a response gives back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use futures_util::FutureExt;
use rateguard::{Check, Decision, Key, Policy, Quota, RateGuard, RateLimitLayer, rate_limit};
use rateguard_tests::{App, RedisServer, connected, one_of_each_form, serve};
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_secs(60);

fn quotas() -> [Quota; 6] {
    one_of_each_form(5, MINUTE)
}

async fn peek_says_what_a_check_would_and_changes_nothing(limiter: RateGuard) {
    for quota in quotas() {
        let policy = Policy::new("peek", quota);
        let key = Key::new("limit", quota.limit());
        let fresh = limiter.peek(&policy, &key).await.unwrap();
        assert!(fresh.allowed() && fresh.remaining() == quota.limit() && fresh.reset_after() == Duration::ZERO);
        let _ = limiter.check_cost(&policy, &key, quota.limit()).await;
        for _ in 0..3 {
            let spent = limiter.peek(&policy, &key).await.unwrap();
            assert!(!spent.allowed() && spent.remaining() == 0 && spent.retry_after().is_some());
        }
        limiter.reset(&policy, &key).await.unwrap();
    }
}

async fn reset_gives_the_whole_quota_back(limiter: RateGuard) {
    for quota in quotas() {
        let policy = Policy::new("reset", quota);
        let key = Key::global();
        limiter.reset(&policy, &key).await.unwrap();
        assert!(limiter.check_cost(&policy, &key, quota.limit()).await.allowed());
        assert!(!limiter.check(&policy, &key).await.allowed());
        limiter.reset(&policy, &key).await.unwrap();
        assert_eq!(limiter.check(&policy, &key).await.remaining(), quota.limit() - 1);
        limiter.reset(&policy, &key).await.unwrap();
    }
}

async fn a_refund_is_never_more_than_the_quota(limiter: RateGuard) {
    for quota in quotas() {
        let policy = Policy::new("refund", quota);
        let key = Key::new("limit", format!("{}-{}", quota.algorithm(), quota.limit()));
        limiter.refund(&policy, &key, 3).await.unwrap();
        assert_eq!(limiter.peek(&policy, &key).await.unwrap().remaining(), quota.limit());
        assert_eq!(limiter.check_cost(&policy, &key, 4).await.remaining(), quota.limit() - 4);
        limiter.refund(&policy, &key, 1).await.unwrap();
        let left = limiter.peek(&policy, &key).await.unwrap().remaining();
        assert_eq!(left, quota.limit() - 3, "{quota:?}");
        limiter.refund(&policy, &key, u32::MAX).await.unwrap();
        assert_eq!(limiter.check_cost(&policy, &key, quota.limit()).await.remaining(), 0);
    }
}

rateguard_tests::on_every_store! {
    lifetimes <= 121_000;
    peek_says_what_a_check_would_and_changes_nothing
    reset_gives_the_whole_quota_back
    a_refund_is_never_more_than_the_quota
}

#[tokio::test]
async fn what_the_store_cannot_do_is_an_error_not_a_guess() {
    let server = RedisServer::stopped();
    let limiter = RateGuard::redis(server.url()).unwrap();
    let policy = Policy::new("p", Quota::sliding_window(5, MINUTE));
    assert!(limiter.peek(&policy, &Key::global()).await.is_err());
    assert!(limiter.reset(&policy, &Key::global()).await.is_err());
    assert!(limiter.refund(&policy, &Key::global(), 1).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_type_is_the_error_of_peek_and_reset_clears_it() {
    let server = RedisServer::start();
    let limiter = connected(RateGuard::builder(), &server).await;
    let policy = Policy::new("p", Quota::sliding_window(5, MINUTE));
    let _: String = server.command(&["SET", "ratelimit:{global}:p:sw2", "x"]);
    assert!(limiter.peek(&policy, &Key::global()).await.is_err());
    assert!(limiter.refund(&policy, &Key::global(), 1).await.is_err());
    limiter.reset(&policy, &Key::global()).await.unwrap();
    assert!(limiter.peek(&policy, &Key::global()).await.unwrap().allowed());
}

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static MOST_INSIDE: AtomicUsize = AtomicUsize::new(0);

/// Counts failures only: a success is given back.
#[rate_limit(limit = 5, window = 60, key = "global", refund_if = |response| response.status().is_success())]
async fn login(head: axum::http::request::Parts) -> StatusCode {
    let inside = INSIDE.fetch_add(1, Ordering::SeqCst) + 1;
    MOST_INSIDE.fetch_max(inside, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    INSIDE.fetch_sub(1, Ordering::SeqCst);
    if head.uri.query() == Some("right") { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

async fn statuses(address: std::net::SocketAddr, path: &str, times: usize) -> Vec<u16> {
    let mut tasks = JoinSet::new();
    for _ in 0..times {
        let url = format!("http://{address}{path}");
        tasks.spawn(async move { reqwest::get(url).await.unwrap().status().as_u16() });
    }
    tasks.join_all().await
}

async fn only_failures_count(limiter: RateGuard) {
    let app = Router::new().route("/login", get(login)).layer(RateLimitLayer::new(limiter));
    let address = serve(app).await;
    for _ in 0..12 {
        let response = reqwest::get(format!("http://{address}/login?right")).await.unwrap();
        assert_eq!(response.status(), 200, "successes are free");
        assert_eq!(response.headers()["x-ratelimit-remaining"], "5", "and the client is told so");
        assert_eq!(response.headers()["x-ratelimit-reset"], "0", "as is that nothing is left to wait for");
    }
    // However many fail at once, the limit is the limit.
    let failed = statuses(address, "/login?wrong", 40).await;
    assert_eq!(failed.iter().filter(|status| **status == 401).count(), 5);
    assert_eq!(failed.iter().filter(|status| **status == 429).count(), 35);
    assert_eq!(statuses(address, "/login?right", 1).await, [429]);
}

#[tokio::test]
async fn in_memory_only_failures_count() {
    only_failures_count(RateGuard::memory()).await;
}

#[tokio::test]
async fn in_redis_only_failures_count() {
    let server = RedisServer::start();
    only_failures_count(connected(RateGuard::builder(), &server).await).await;
    assert!(MOST_INSIDE.load(Ordering::SeqCst) <= 10, "five of each store's at the most");
}

#[tokio::test]
async fn in_a_group_that_is_denied_every_other_limit_keeps_its_units() {
    let limiter = Arc::new(RateGuard::memory());
    let (one, many) =
        (Policy::new("one", Quota::fixed_window(1, MINUTE)), Policy::new("many", Quota::token_bucket(9, MINUTE)));
    let key = Key::user(1);
    let checks = [Check::new(&one, &key), Check::new(&many, &key)];
    assert!(limiter.check_all(&checks).await.iter().all(Decision::allowed));
    assert!(!limiter.check_all(&checks).await.iter().all(Decision::allowed));
    assert_eq!(limiter.peek(&many, &key).await.unwrap().remaining(), 8);
}

#[rate_limit(limit = 9, window = 60, key = "global", name = "early")]
#[rate_limit(limit = 1, window = 60, key = name.0, name = "deferred")]
async fn early_and_late(name: axum::extract::Path<String>) -> Response {
    drop(name);
    Response::default()
}

#[tokio::test]
async fn a_late_denial_gives_back_what_the_early_limits_took() {
    let limiter = RateGuard::memory();
    let app = Router::new().route("/{name}", get(early_and_late)).layer(RateLimitLayer::new(limiter.clone()));
    let address = serve(app).await;
    assert_eq!(statuses(address, "/a", 1).await, [200]);
    for _ in 0..5 {
        assert_eq!(statuses(address, "/a", 1).await, [429]);
    }
    let early = Policy::new("early", Quota::sliding_window(9, MINUTE));
    assert_eq!(limiter.peek(&early, &Key::global()).await.unwrap().remaining(), 8);
    assert_eq!(statuses(address, "/b", 1).await, [200]);
}

#[rate_limit(limit = 3, window = 60, key = "global", name = "cancelled", refund_if = |_| true)]
async fn never_done() {
    std::future::pending::<()>().await;
}

/// There is no response to ask about, and what the handler did by then, it did: else a client could have any number of
/// requests begun by hanging up.
#[tokio::test]
async fn a_request_that_is_cancelled_stays_charged() {
    let app = App::new(Router::new().route("/", get(never_done)));
    for left in [2, 1, 0] {
        assert!(app.get("/").now_or_never().is_none(), "the client hangs up");
        let policy = Policy::new("cancelled", Quota::sliding_window(3, MINUTE));
        assert_eq!(app.limiter.peek(&policy, &Key::global()).await.unwrap().remaining(), left);
    }
    assert_eq!(app.get("/").await.status, 429);
}
