//! What a client is told about its own quotas: those that limit it, as they apply.

use axum::Router;
use axum::routing::get;
use rateguard::{HttpLimit, Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, rate_limit, usage};
use rateguard_tests::App;

const API: Policy = Policy::new("api", Quota::per_minute(100));

/// `policy:limit:remaining` of each.
async fn told(app: &App) -> Vec<String> {
    let answer = app.get("/usage").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let quotas = told["quotas"].as_array().unwrap().iter();
    quotas
        .map(|quota| format!("{}:{}:{}", quota["policy"].as_str().unwrap(), quota["limit"], quota["remaining"]))
        .collect()
}

fn app(limiter: RateGuard, layer: RateLimitLayer, routes: Router) -> App {
    App::with(limiter.clone(), Router::new())
        .map(|_| routes.layer(layer).route("/usage", get(usage)).layer(RateLimitLayer::new(limiter)))
}

#[tokio::test]
async fn a_quota_set_while_running_is_told_with_its_limit() {
    let limiter = RateGuard::memory();
    let layer = RateLimitLayer::new(limiter.clone()).limit("api", API.quota(), KeyBy::Ip);
    let app = app(limiter, layer, Router::new().route("/", get(|| async {})));
    assert!(app.limiter.set_quota("api", Quota::per_minute(20)));
    app.get("/").await;
    assert_eq!(told(&app).await, ["api:20:19"]);
}

#[tokio::test]
async fn shadow_mode_of_a_layer_and_of_the_limiter_is_not_told() {
    let limiter = RateGuard::memory();
    let shadow = RateLimitLayer::new(limiter.clone()).limit("before", API.quota(), KeyBy::Ip).shadow(true).limit(
        "after",
        API.quota(),
        KeyBy::Ip,
    );
    assert_eq!(told(&app(limiter, shadow, Router::new())).await, [""; 0]);

    let limiter = RateGuard::builder().memory().shadow(true).build().unwrap();
    let layer = RateLimitLayer::new(limiter.clone()).limit("api", API.quota(), KeyBy::Ip);
    assert_eq!(told(&app(limiter, layer, Router::new())).await, [""; 0]);
}

#[tokio::test]
async fn a_client_that_the_layer_exempts_is_told_nothing_of_the_layer() {
    let limiter = RateGuard::memory();
    let layer = RateLimitLayer::new(limiter.clone()).limit("api", API.quota(), KeyBy::Ip).exempt(["192.0.2.0/24"]);
    assert_eq!(told(&app(limiter, layer, Router::new())).await, [""; 0]);
}

#[tokio::test]
async fn a_policy_that_code_has_registered_or_checked_before_is_told() {
    const LAYER: Policy = Policy::new("layer", Quota::per_minute(7));
    #[rate_limit(policy = API)]
    async fn handler() {}
    let limiter = RateGuard::memory();
    limiter.register(&API);
    let _ = limiter.check(&LAYER, &Key::user(1)).await;
    let layer = RateLimitLayer::new(limiter.clone()).rule(HttpLimit::from_policy(LAYER, KeyBy::Ip));
    let app = app(limiter, layer, Router::new().route("/", get(handler)));
    app.get("/").await;
    app.get("/").await;
    assert_eq!(told(&app).await, ["layer:7:5", "api:100:98"]);
}
