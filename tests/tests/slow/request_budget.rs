//! What one request may wait for a store, over all its layers and attributes: one deadline, and only what is waited counts.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use rateguard::{Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, RequestLimiter, rate_limit};
use rateguard_tests::{DelayLine, Illness, RedisServer, UpstashServer, request};
use tower::ServiceExt;

const MINUTE: Duration = Duration::from_secs(60);
/// The default.
const DEADLINE: Duration = Duration::from_millis(100);
/// Between one deadline and three of them, which is what it was.
const MARGIN: Duration = Duration::from_millis(150);

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

async fn reached(url: String) -> RateGuard {
    let limiter = RateGuard::redis(url).unwrap();
    while limiter.ready().await.is_err() {}
    limiter
}

/// The quickest of a few: a machine that is busy makes some slower, and a budget that is not kept makes all slower.
async fn quickest(mut attempt: impl AsyncFnMut() -> Duration) -> Duration {
    let mut quickest = Duration::MAX;
    for _ in 0..4 {
        quickest = quickest.min(attempt().await);
        if quickest < DEADLINE + MARGIN {
            break;
        }
    }
    quickest
}

#[rate_limit(limit = 9, window = 60, key = "global", name = "handler")]
async fn limited() {}

#[tokio::test(flavor = "multi_thread")]
async fn three_layers_and_an_attribute_wait_for_a_hung_redis_once() {
    let took = quickest(async || {
        let server = RedisServer::start();
        let limiter = reached(server.url()).await;
        let layer =
            |name| RateLimitLayer::new(limiter.clone()).limit(name, Quota::sliding_window(9, MINUTE), KeyBy::Global);
        let app =
            Router::new().route("/", get(limited)).layer(layer("inner")).layer(layer("middle")).layer(layer("outer"));
        assert_eq!(app.clone().oneshot(request("/")).await.unwrap().status(), 200, "all is well");
        signal(server.pid(), "STOP");
        let start = Instant::now();
        let response = app.oneshot(request("/")).await.unwrap();
        let took = start.elapsed();
        signal(server.pid(), "CONT");
        assert_eq!(response.status(), 200);
        took
    })
    .await;
    assert!(took < DEADLINE + MARGIN, "one deadline for all four: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_service_has_answered_counts_as_well() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let limiter = RateGuard::builder().upstash(server.url(), UpstashServer::TOKEN).build().unwrap();
    while limiter.ready().await.is_err() {}
    let layer =
        |name| RateLimitLayer::new(limiter.clone()).limit(name, Quota::sliding_window(99, MINUTE), KeyBy::Global);
    let mut app = Router::new().route("/", get(limited));
    for name in ["f", "e", "d", "c", "b", "a"] {
        app = app.layer(layer(name));
    }
    // An answer comes in time, but not one for each.
    server.set(Illness::Slow(DEADLINE * 4 / 5));
    let took = quickest(async || {
        let start = Instant::now();
        assert_eq!(app.clone().oneshot(request("/")).await.unwrap().status(), 200);
        start.elapsed()
    })
    .await;
    assert!(took < DEADLINE + MARGIN, "one deadline for all seven: {took:?}");
    server.set(Illness::None);
    assert_eq!(limiter.ready().await.map_err(|error| error.kind()), Ok(()), "who has little time left sees no outage");
}

#[rate_limit(limit = 1, window = 60, key = "global", name = "narrow")]
async fn narrow() {}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_are_asked_when_the_budget_is_spent_are_counted_here() {
    let server = RedisServer::start();
    let limiter = reached(server.url()).await;
    let layer = RateLimitLayer::new(limiter).limit("wide", Quota::sliding_window(9, MINUTE), KeyBy::Global);
    let app = Router::new().route("/", get(narrow)).layer(layer);
    signal(server.pid(), "STOP");
    // One call each that is not answered: two in a row are no outage yet.
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(app.clone().oneshot(request("/")).await.unwrap().status().as_u16());
    }
    signal(server.pid(), "CONT");
    assert_eq!(statuses, [200, 429]);
}

/// The server that the handler below hangs.
static HANGS: AtomicU32 = AtomicU32::new(0);

#[rate_limit(limit = 9, window = 60, key = "global", name = "a", refund_if = |response| response.status().is_success())]
#[rate_limit(limit = 9, window = 60, key = "global", name = "b", refund_if = |response| response.status().is_success())]
#[rate_limit(limit = 9, window = 60, key = "global", name = "c", refund_if = |response| response.status().is_success())]
#[rate_limit(limit = 9, window = 60, key = "global", name = "d", refund_if = |response| response.status().is_success())]
async fn hangs_redis() {
    signal(HANGS.load(Ordering::SeqCst), "STOP");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_charges_to_give_back_wait_for_a_hung_redis_once() {
    let took = quickest(async || {
        let server = RedisServer::start();
        HANGS.store(server.pid(), Ordering::SeqCst);
        let app = Router::new().route("/", get(hangs_redis)).layer(RateLimitLayer::new(reached(server.url()).await));
        let start = Instant::now();
        let response = app.oneshot(request("/")).await.unwrap();
        let took = start.elapsed();
        signal(server.pid(), "CONT");
        assert_eq!(response.status(), 200);
        took
    })
    .await;
    assert!(took < DEADLINE + MARGIN, "one deadline for all four: {took:?}");
}

#[rate_limit(limit = 9, window = 60, key = "global", name = "early")]
#[rate_limit(limit = 2, window = 60, key = name, name = "deferred")]
async fn upload(Json(name): Json<String>) -> impl IntoResponse {
    drop(name);
}

/// A body that takes this long to arrive.
fn slow_body(takes: Duration) -> Body {
    let (mut upload, body) = tokio::io::duplex(64);
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let text = br#""a name""#;
        for byte in text {
            tokio::time::sleep(takes / 8).await;
            let _ = upload.write_all(&[*byte]).await;
        }
    });
    Body::from_stream(futures_util::stream::unfold(body, async |mut body| {
        use tokio::io::AsyncReadExt;
        let mut bytes = vec![0; 64];
        match body.read(&mut bytes).await {
            Ok(length @ 1..) => {
                bytes.truncate(length);
                Some((Ok::<_, std::io::Error>(bytes), body))
            }
            _ => None,
        }
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_and_slow_middleware_leave_the_budget_to_the_limits_that_come_after() {
    let server = RedisServer::start();
    let line = DelayLine::start(server.port(), Duration::from_millis(4));
    let limiter = reached(line.url()).await;
    let layer =
        |name| RateLimitLayer::new(limiter.clone()).limit(name, Quota::sliding_window(9, MINUTE), KeyBy::Global);
    let slow = axum::middleware::from_fn(async |request, next: axum::middleware::Next| {
        tokio::time::sleep(3 * DEADLINE).await;
        next.run(request).await
    });
    let app = Router::new().route("/", post(upload)).layer(layer("inner")).layer(slow).layer(layer("outer"));
    let send = async || {
        let request = Request::post("/").header("content-type", "application/json");
        let response = app.clone().oneshot(request.body(slow_body(4 * DEADLINE)).unwrap()).await.unwrap();
        response.status().as_u16()
    };
    assert_eq!([send().await, send().await], [200, 200]);
    let keys = server.keys();
    for name in ["outer", "inner", "early", "deferred"] {
        let key = keys.iter().find(|key| key.contains(&format!(":{name}:"))).unwrap();
        // Not the mark at its end.
        assert_eq!(server.command::<u32>(&["ZCOUNT", key, "-inf", "(inf"]), 2, "{name} was counted by Redis");
    }
    assert_eq!(send().await, 429, "by the limit that comes last");
}

/// As the task of a WebSocket does, which lasts longer than any deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_goes_on_after_the_response_has_a_deadline_for_each_check() {
    const MESSAGES: Policy = Policy::new("messages", Quota::sliding_window(1000, MINUTE));
    let server = RedisServer::start();
    let line = DelayLine::start(server.port(), Duration::from_millis(50));
    let limiter = RateGuard::builder().redis(line.url()).deadline(Duration::from_secs(1)).build().unwrap();
    while limiter.ready().await.is_err() {}
    let (start, started) = tokio::sync::oneshot::channel::<RequestLimiter>();
    let start = std::sync::Arc::new(std::sync::Mutex::new(Some(start)));
    let handler = async move |limiter: RequestLimiter| {
        let _ = start.lock().unwrap().take().unwrap().send(limiter);
    };
    let app = Router::new().route("/", get(handler)).layer(RateLimitLayer::new(limiter));
    assert_eq!(app.oneshot(request("/")).await.unwrap().status(), 200);
    let limiter = started.await.unwrap();
    for message in 0..30 {
        let decision = limiter.check(&MESSAGES, &Key::global()).await.unwrap();
        assert!(!decision.degraded(), "{message}: {:?}", decision.degraded_reason());
    }
}
