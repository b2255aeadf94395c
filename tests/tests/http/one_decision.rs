//! One request, one decision: what a layer charged is given back if a limit further in denies the request.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::routing::{get, post};
use rateguard::{Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, rate_limit};
use rateguard_tests::{DelayLine, RedisServer, connected, request};
use tokio::sync::Notify;
use tower::ServiceExt;

const MONTH: Duration = Duration::from_secs(30 * 86_400);
const MINUTE: Duration = Duration::from_secs(60);

#[rate_limit(limit = 2, window = 60, key = "global", name = "inner")]
async fn attribute() {}

#[rate_limit(limit = 2, window = 60, key = body.as_str(), name = "deferred")]
async fn deferred(body: String) {}

#[rate_limit(limit = 2, window = 60, key = Some(&body).filter(|body| !body.is_empty()), name = "by-body")]
async fn by_body(body: String) {}

#[rate_limit(limit = 1, window = 60, key = "global", name = "shadowed", shadow = true)]
async fn shadowed() {}

async fn free() {}

fn app(limiter: &RateGuard) -> Router {
    let inner = RateLimitLayer::new(limiter.clone()).limit("nested", Quota::sliding_window(2, MINUTE), KeyBy::Global);
    Router::new()
        .route("/attribute", get(attribute))
        .route("/deferred", post(deferred))
        .route("/by-body", post(by_body))
        .route("/shadowed", get(shadowed))
        .route("/nested", get(free).layer(inner))
        .layer(RateLimitLayer::new(limiter.clone()).limit("outer", Quota::sliding_window(10, MONTH), KeyBy::Global))
}

async fn answer(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

/// What the outer limit has left, for everybody.
async fn left(limiter: &RateGuard) -> u32 {
    let outer = Policy::new("outer", Quota::sliding_window(10, MONTH));
    limiter.peek(&outer, &Key::global()).await.unwrap().remaining()
}

async fn a_denied_request_spends_nothing_of_the_layers_around_it(limiter: RateGuard) {
    let app = app(&limiter);
    for (path, body, served) in [("/attribute", "", 2), ("/nested", "", 2), ("/deferred", "one", 2)] {
        let before = left(&limiter).await;
        for turn in 0..8 {
            let mut request = request(path);
            if !body.is_empty() {
                *request.method_mut() = axum::http::Method::POST;
                *request.body_mut() = Body::from(body);
            }
            let response = answer(&app, request).await;
            assert_eq!(response.status(), if turn < served { 200 } else { 429 }, "{path} {turn}");
            if turn >= served {
                assert_eq!(response.headers()["x-ratelimit-remaining"], "0", "{path}: of the one that denies");
            }
        }
        assert_eq!(left(&limiter).await, before - served, "{path}: the six denied requests were not charged");
    }
    // A limit in shadow mode denies no request, so nothing is given back.
    let before = left(&limiter).await;
    for _ in 0..3 {
        assert_eq!(answer(&app, request("/shadowed")).await.status(), 200);
    }
    assert_eq!(left(&limiter).await, before - 3);
    assert_eq!(before - 3, 1);
    // And the outer limit holds for what was served.
    assert_eq!(answer(&app, request("/shadowed")).await.status(), 200);
    assert_eq!(answer(&app, request("/shadowed")).await.status(), 429);
}

#[tokio::test]
async fn a_denied_request_spends_nothing_of_the_layers_around_it_in_memory() {
    a_denied_request_spends_nothing_of_the_layers_around_it(RateGuard::memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_request_spends_nothing_of_the_layers_around_it_in_redis() {
    let server = RedisServer::start();
    let limiter = connected(RateGuard::builder(), &server).await;
    a_denied_request_spends_nothing_of_the_layers_around_it(limiter).await;
    // Each time Redis decides, and not the deny cache.
    let server = RedisServer::start();
    let limiter = connected(RateGuard::builder().deny_cache(Duration::ZERO), &server).await;
    a_denied_request_spends_nothing_of_the_layers_around_it(limiter).await;
}

#[tokio::test]
async fn the_answer_of_ones_own_to_a_denial_changes_nothing_of_that() {
    let limiter = RateGuard::builder().on_denied(|_: &rateguard::Denied| "slow down").build().unwrap();
    let app = app(&limiter);
    for path in ["/attribute", "/nested"] {
        for _ in 0..5 {
            let _ = answer(&app, request(path)).await;
        }
    }
    assert_eq!(left(&limiter).await, 6);
}

#[tokio::test]
async fn a_layer_that_is_not_set_up_spends_nothing_of_the_layers_further_out() {
    let limiter = RateGuard::memory();
    // A limit by address, without an address of the connection.
    let inner = RateLimitLayer::new(limiter.clone()).limit("by-address", Quota::per_minute(2), KeyBy::Ip);
    let app = Router::new().route("/", get(free).layer(inner)).layer(RateLimitLayer::new(limiter.clone()).limit(
        "outer",
        Quota::sliding_window(10, MONTH),
        KeyBy::Global,
    ));
    assert_eq!(answer(&app, request("/")).await.status(), 500);
    assert_eq!(left(&limiter).await, 10);
}

#[tokio::test]
async fn a_handlers_limit_that_is_not_set_up_spends_nothing_of_the_layers_around_it() {
    let limiter = RateGuard::memory();
    let app = app(&limiter);
    // Without a body the client counts by its address, which the app does not provide.
    let request = Request::post("/by-body").body(Body::empty()).unwrap();
    assert_eq!(answer(&app, request).await.status(), 500);
    assert_eq!(left(&limiter).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_while_charges_are_given_back_gets_them_back() {
    let server = RedisServer::start();
    let line = DelayLine::start(server.port(), Duration::from_millis(50));
    let far = RateGuard::builder().redis(line.url()).deadline(Duration::from_secs(10)).build().unwrap();
    far.ready().await.unwrap();
    let denied = Arc::new(Notify::new());
    let near = {
        let denied = Arc::clone(&denied);
        RateGuard::builder().on_denied(move |_: &rateguard::Denied| denied.notify_one()).build().unwrap()
    };
    let nested = RateLimitLayer::new(near.clone()).limit("nested", Quota::sliding_window(2, MINUTE), KeyBy::Global);
    let app = Router::new()
        .route("/attribute", get(attribute).layer(RateLimitLayer::new(near)))
        .route("/nested", get(free).layer(nested))
        .layer(RateLimitLayer::new(far.clone()).limit("outer", Quota::sliding_window(10, MONTH), KeyBy::Global));
    for path in ["/attribute", "/nested"] {
        for _ in 0..2 {
            assert_eq!(answer(&app, request(path)).await.status(), 200);
        }
        let before = left(&far).await;
        for _ in 0..3 {
            tokio::select! {
                biased;
                _ = answer(&app, request(path)) => panic!("the charges are given back first"),
                () = denied.notified() => {}
            }
        }
        assert_eq!(left(&far).await, before, "{path}");
    }
}
