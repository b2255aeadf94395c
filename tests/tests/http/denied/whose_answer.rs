//! Whose answer is given.

use super::*;

#[tokio::test]
async fn a_limiters_answer_is_that_of_its_attributes_also_of_those_that_wait_for_arguments() {
    attributes_are_answered_for(RateGuard::builder(), None).await;
}

#[tokio::test]
async fn the_same_with_counts_in_redis() {
    let server = RedisServer::start();
    attributes_are_answered_for(RateGuard::builder(), Some(&server)).await;
}

#[tokio::test]
async fn a_layers_limits_are_answered_for_and_the_kind_is_what_was_counted() {
    let server = RedisServer::start();
    let limiters = [
        RateGuard::builder().on_denied(tell).build().unwrap(),
        connected(RateGuard::builder().on_denied(tell), &server).await,
    ];
    for limiter in limiters {
        let one = Quota::sliding_window(1, MINUTE);
        let tenant = Key::new("tenant", "acme");
        for (name, by, kind) in [
            ("a", KeyBy::Ip, "ip"),
            ("b", KeyBy::User, "user"),
            ("c", KeyBy::Global, "global"),
            ("d", KeyBy::header("x-api-key"), "header.x-api-key"),
            ("e", KeyBy::cookie("session"), "ip"),
            ("f", KeyBy::path("user"), "path.user"),
            ("g", KeyBy::from_fn(move |_| Some(tenant.clone())), "tenant"),
        ] {
            let layer = RateLimitLayer::new(limiter.clone())
                .limit("wide", Quota::sliding_window(100, MINUTE), KeyBy::Global)
                .limit(name, one, by);
            let app =
                App::new(Router::new()).map(|_| Router::new().route("/x/{user}", get(|| async {})).route_layer(layer));
            let answer = second(&app, "/x/bob").await;
            let told = told(&answer);
            assert_eq!((&told["policy"], &told["kind"]), (&name.into(), &kind.into()));
            assert_eq!(told["denying"], serde_json::json!([name]));
            assert_eq!(told["user"], "alice");
            assert_eq!(answer.number("x-ratelimit-limit"), Some(1));
        }
    }
}

#[tokio::test]
async fn the_nearest_layers_answer_goes_before_the_outer_ones_and_the_limiters() {
    let say = |word: &'static str| move |_: &Denied| (StatusCode::TOO_MANY_REQUESTS, word);
    let limiter = RateGuard::builder().on_denied(say("limiter")).build().unwrap();
    let layer = || RateLimitLayer::new(limiter.clone());
    let said = async |routes: Router| {
        let app = App::new(Router::new()).map(|_| routes);
        assert_eq!(app.get("/ip").await.status, 200);
        let early = app.get("/ip").await.body;
        assert_eq!(app.get("/deferred/x").await.status, 200);
        assert_eq!(app.get("/deferred/x").await.body, early);
        limiter.reset(&Policy::new("by-ip", Quota::sliding_window(1, MINUTE)), &Key::ip([192, 0, 2, 1])).await.unwrap();
        let deferred = Key::user("x");
        limiter.reset(&Policy::new("deferred", Quota::sliding_window(1, MINUTE)), &deferred).await.unwrap();
        early
    };
    assert_eq!(said(routes().layer(layer())).await, "limiter");
    assert_eq!(said(routes().layer(layer().on_denied(say("layer")))).await, "layer");
    assert_eq!(said(routes().layer(layer()).layer(layer().on_denied(say("outer")))).await, "outer");
    let both = routes().layer(layer().on_denied(say("inner"))).layer(layer().on_denied(say("outer")));
    assert_eq!(said(both).await, "inner");
}
