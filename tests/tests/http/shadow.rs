//! Shadow mode: of one limit, of a layer's limits, or of all.

use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use rateguard::{Check, Key, KeyBy, OnError, Policy, Quota, RateGuard, RateLimitLayer, rate_limit};
use rateguard_tests::{App, RedisServer, connected};

const ONE: Quota = Quota::sliding_window(1, Duration::from_secs(60));

#[rate_limit(limit = 1, window = 60, name = "early")]
async fn early() {}

#[rate_limit(limit = 1, window = 60, name = "deferred", key = user, on_error = "closed")]
async fn deferred(Path(user): Path<String>) {
    let _ = user;
}

#[rate_limit(limit = 1, window = 60, name = "shadowed", shadow = true)]
#[rate_limit(limit = 2, window = 60, name = "denies")]
async fn one_in_shadow() {}

fn routes() -> Router {
    Router::new()
        .route("/early", get(early))
        .route("/deferred/{user}", get(deferred))
        .route("/one", get(one_in_shadow))
        .route("/free", get(|| async {}))
}

#[tokio::test]
async fn an_attributes_shadow_denies_nothing_and_leaves_the_others_to_deny() {
    let app = App::new(routes());
    assert_eq!(app.statuses(&["/one"; 4]).await, [200, 200, 429, 429]);
    let key = Key::ip([192, 0, 2, 1]);
    let shadowed = Policy::new("shadowed", ONE).shadow(true);
    let peeked = app.limiter.peek(&shadowed, &key).await.unwrap();
    assert!(peeked.allowed() && peeked.would_deny(), "it has counted all the same");
}

#[tokio::test]
async fn a_layers_shadow_is_for_its_own_limits_whenever_it_is_said() {
    let server = RedisServer::start();
    for limiter in [RateGuard::memory(), connected(RateGuard::builder(), &server).await] {
        let layer = || RateLimitLayer::new(limiter.clone());
        let before = layer().shadow(true).limit("a", ONE, KeyBy::Global).limit("b", ONE, KeyBy::Ip);
        let after = layer().limit("a", ONE, KeyBy::Global).limit("b", ONE, KeyBy::Ip).shadow(true);
        for layer in [before, after] {
            let app = App::new(Router::new()).map(|_| routes().layer(layer.clone()));
            assert_eq!(app.statuses(&["/free"; 3]).await, [200; 3]);
            let answer = app.get("/free").await;
            assert!(answer.headers.keys().all(|name| !name.as_str().contains("ratelimit")), "{answer:?}");
            let denying = App::new(Router::new()).map(|_| routes().layer(layer.shadow(false)));
            assert_eq!(denying.get("/free").await.status, 429, "what was watched was counted");
            limiter.reset(&Policy::new("a", ONE), &Key::global()).await.unwrap();
            limiter.reset(&Policy::new("b", ONE), &Key::ip([192, 0, 2, 1])).await.unwrap();
        }
        let app = App::new(Router::new()).map(|_| routes().layer(layer().limit("a", ONE, KeyBy::Global).shadow(true)));
        assert_eq!(app.statuses(&["/early"; 2]).await, [200, 429], "a handler's limit is not the layer's");
    }
}

#[tokio::test]
async fn a_limiters_shadow_is_for_everything_that_asks_it() {
    let server = RedisServer::start();
    let builder = || RateGuard::builder().shadow(true).quota("early", ONE);
    for limiter in [builder().build().unwrap(), connected(builder(), &server).await] {
        let layer = RateLimitLayer::new(limiter.clone()).limit("global", ONE, KeyBy::Global);
        let app = App::new(Router::new()).map(|_| routes().layer(layer));
        for path in ["/early", "/deferred/bob", "/one", "/free"] {
            assert_eq!(app.statuses(&[path; 4]).await, [200; 4], "{path}");
        }
        let answer = app.get("/early").await;
        assert!(answer.headers.keys().all(|name| !name.as_str().contains("ratelimit")), "{answer:?}");
        let (policy, key) = (Policy::new("alone", ONE), Key::user(1));
        assert!(!limiter.check(&policy, &key).await.would_deny());
        let second = limiter.check(&policy, &key).await;
        assert!(second.allowed() && second.would_deny());
        assert!(second.into_result().is_ok_and(|decision| decision.would_deny()), "the decision comes back");
        let [global, alone] = [Policy::new("global", ONE), policy].map(|policy| (policy, Key::global()));
        let both = [Check::new(&global.0, &global.1), Check::new(&alone.0, &key)];
        let decisions = limiter.check_all(&both).await;
        assert!(decisions.iter().all(|decision| decision.allowed() && decision.would_deny()));
    }
}

#[tokio::test]
async fn a_limiters_shadow_lets_requests_through_that_cannot_be_counted() {
    let mut server = RedisServer::start();
    let builder = RateGuard::builder().shadow(true).on_error(OnError::Closed);
    let app = App::with(connected(builder, &server).await, routes());
    server.kill();
    assert_eq!(app.statuses(&["/early", "/deferred/bob", "/early"]).await, [200; 3]);
}
