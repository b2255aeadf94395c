//! What a client and the middleware are told.

use super::*;

#[tokio::test]
async fn the_words_of_a_denial_name_the_unit_and_a_cost_above_the_limit_is_told_apart() {
    let limiter = RateGuard::builder()
        .on_denied(|denied: &Denied| format!("{denied}; {}; {:?}", denied.never(), denied.key().map(Key::kind)))
        .build()
        .unwrap();
    let limit = HttpLimit::new("tokens", Quota::per_minute(10), KeyBy::Global).unit("tokens");
    let layer = RateLimitLayer::new(limiter.clone()).rule(limit.cost(|head| head.uri.path().len()));
    let app = app(layer, &limiter, Router::new().fallback(|| async {}));
    assert_eq!(app.get("/1234567").await.status, 200);
    let soon = app.get("/1234567").await.body;
    assert!(
        soon.starts_with("No more than 10 tokens in 1 minute; try again in ")
            && soon.ends_with("; false; Some(\"global\")"),
        "{soon}"
    );
    let never = app.get("/12345678901").await.body;
    assert!(never.contains("; true; "), "{never}");
}

#[tokio::test]
async fn a_degraded_429_and_a_503_are_told_apart() {
    let limiter = RateGuard::builder().redis("redis://127.0.0.1:1").on_error(OnError::Local).build().unwrap();
    let key = Key::user(1);
    for _ in 0..2 {
        limiter.check(&INVITES, &key).await.into_result().unwrap();
    }
    let denied = limiter.check(&INVITES, &key).await.into_result().unwrap_err();
    assert_eq!((denied.status(), denied.degraded(), denied.never()), (StatusCode::TOO_MANY_REQUESTS, true, false));
    assert!(denied.retry_after().is_some());
    let closed = limiter.check(&CLOSED, &key).await.into_result().unwrap_err();
    assert_eq!((closed.status(), closed.degraded(), closed.never()), (StatusCode::SERVICE_UNAVAILABLE, true, false));
}

/// How many calls of scripts the server has had.
fn calls(server: &RedisServer) -> u64 {
    let stats: String = server.command(&["INFO", "commandstats"]);
    let scripts = stats.lines().filter(|line| line.starts_with("cmdstat_eval"));
    scripts.filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test]
async fn a_client_is_told_its_own_quotas_in_one_call_and_without_being_counted() {
    #[rate_limit(limit = 5, window = 60, name = "search")]
    async fn search() {}
    #[rate_limit(limit = 5, window = 60, name = "item", key = id)]
    async fn item(Path(id): Path<u32>) {
        let _ = id;
    }
    let server = RedisServer::start();
    for limiter in limiters(&server).await {
        limiter.register_handlers(handlers![search, item]);
        let layer = RateLimitLayer::new(limiter.clone())
            .rule(by_plan())
            .rule(
                HttpLimit::new("writes", Quota::token_bucket(2, Duration::from_secs(60)).burst(4), KeyBy::Ip)
                    .methods([Method::POST]),
            )
            .rule(HttpLimit::new("quiet", Quota::per_minute(9), KeyBy::Ip).shadow(true))
            .rule(HttpLimit::new("inside", Quota::per_minute(9), KeyBy::Ip).exempt(["192.0.2.1"]));
        let routes = Router::new()
            .route("/search", get(search))
            .route("/item/{id}", get(item))
            .route("/post", post(|| async {}));
        let app = App::with(limiter.clone(), Router::new())
            .map(|_| routes.layer(layer).route("/usage", get(usage)).layer(RateLimitLayer::new(limiter.clone())));
        app.get("/search").await;
        app.post("/post", "").await;
        let mut asked = request("/usage");
        asked.extensions_mut().insert(UserId::new("ann"));
        asked.extensions_mut().insert(Plan(Some(7)));
        let before = calls(&server);
        let answer = app.send(asked).await;
        assert!(calls(&server) - before <= 1, "one call for all of them");
        assert_eq!((answer.status, answer.headers["content-type"].to_str().unwrap()), (200, "application/json"));
        let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let mut quotas: Vec<_> = told["quotas"]
            .as_array()
            .unwrap()
            .iter()
            .map(|quota| {
                (
                    quota["policy"].as_str().unwrap(),
                    quota["limit"].as_u64().unwrap(),
                    quota["remaining"].as_u64().unwrap(),
                )
            })
            .collect();
        quotas.sort_unstable();
        assert_eq!(quotas, [("plan", 7, 7), ("search", 5, 4), ("writes", 4, 3)], "{}", answer.body);
        assert!(
            told["quotas"]
                .as_array()
                .unwrap()
                .iter()
                .all(|quota| quota["reset"].as_u64().is_some_and(|reset| reset <= 60))
        );
        let again = app.get("/usage").await.body;
        assert!(again.contains("\"search\",\"limit\":5,\"remaining\":4"), "{again}");
    }
}

#[tokio::test]
async fn middleware_outside_of_the_layer_sees_the_decisions() {
    async fn outside(request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        let told = response.extensions().get::<Decisions>().map(|decisions| {
            decisions
                .iter()
                .map(|decision| format!("{}:{} ", decision.policy(), decision.remaining()))
                .collect::<Vec<_>>()
                .concat()
        });
        response.headers_mut().insert("x-told", told.unwrap_or_default().parse().unwrap());
        response
    }
    #[rate_limit(limit = 2, window = 60, name = "handler")]
    async fn handler() {}
    let limiter = RateGuard::memory();
    let layer =
        RateLimitLayer::new(limiter.clone()).limit("layer", Quota::per_minute(9), KeyBy::Ip).headers(Headers::NONE);
    let routes = Router::new().route("/", get(handler)).layer(layer).layer(middleware::from_fn(outside));
    let app = App::new(Router::new()).map(|_| routes);
    let told = async || app.get("/").await.headers["x-told"].to_str().unwrap().to_owned();
    assert_eq!(
        [told().await, told().await, told().await],
        ["layer:8 handler:1 ", "layer:7 handler:0 ", "layer:7 handler:0 "]
    );
}
