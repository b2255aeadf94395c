//! Checks that a handler makes itself.

use super::*;

#[tokio::test]
async fn checks_of_the_requests_own_limiter_are_the_requests() {
    let server = RedisServer::start();
    for builder in [RateGuard::builder(), RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10))] {
        let limiter = builder
            .on_denied(|denied: &Denied| (StatusCode::IM_A_TEAPOT, denied.head().uri.path().to_owned()))
            .build()
            .unwrap();
        limiter.ready().await.unwrap();
        let layer = RateLimitLayer::new(limiter.clone()).limit("all", Quota::per_minute(100), KeyBy::Ip);
        let app = app(layer, &limiter, Router::new().route("/invite/{address}", get(invite)));
        let first = app.get("/invite/a@b").await;
        assert_eq!(
            (first.status, first.number("x-ratelimit-remaining")),
            (200, Some(1)),
            "its count is in the headers"
        );
        assert_eq!(app.get("/invite/a@b").await.status, 200);
        let denied = app.get("/invite/a@b").await;
        assert_eq!((denied.status, &*denied.body), (418, "/invite/a@b"), "the program's own answer");
        let policy = Policy::try_new("all", Quota::per_minute(100)).unwrap();
        let left = limiter.peek(&policy, &Key::ip([192, 0, 2, 1])).await.unwrap().remaining();
        assert_eq!(left, 98, "a denied request spends nothing of the layer's limit");
    }
}

#[tokio::test]
async fn several_checks_of_the_requests_own_limiter_are_decided_together() {
    async fn both(limiter: RequestLimiter) -> Result<String, RateLimited> {
        let (a, b) = (Key::new("list", "a"), Key::new("list", "b"));
        let decisions = limiter.check_all(&[Check::new(&INVITES, &a).cost(2), Check::new(&INVITES, &b)]).await?;
        Ok(decisions.iter().map(|decision| decision.remaining().to_string()).collect())
    }
    let app = App::new(Router::new().route("/", get(both)));
    assert_eq!(app.get("/").await.body, "01");
    assert_eq!(app.get("/").await.status, 429);
    let left = app.limiter.peek(&INVITES, &Key::new("list", "b")).await.unwrap().remaining();
    assert_eq!(left, 1, "none is charged");
}
