//! `limit` as a closure or an expression.

use super::*;

#[rate_limit(limit = |req| plan(req).per_minute(), window = 60, name = "by-head")]
async fn by_head() {}

#[rate_limit(limit = user.plan.per_minute(), window = "1m", key = user.name, name = "by-user")]
async fn by_user(Query(user): Query<User>) {
    drop(user);
}

#[rate_limit(limit = Some(user.plan.per_minute()).filter(|limit| *limit < 1000), window = 60, key = user.name)]
async fn or_none(Query(user): Query<User>) {
    drop(user);
}

#[rate_limit(limit = &size, window = MINUTE, algorithm = "token_bucket", burst = BURST)]
async fn bucket(Path(size): Path<i64>) {
    let _: i64 = size;
}

const BURST: u32 = 3;

#[tokio::test]
async fn a_closure_over_the_head_gives_the_limit() {
    let (app, _) = with_clock(Router::new().route("/", get(by_head)));
    for (limit, remaining, status) in [(2, 1, 200), (2, 0, 200), (2, 0, 429)] {
        let answer = app.get("/").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.number("x-ratelimit-limit"), Some(limit));
        assert_eq!(answer.number("x-ratelimit-remaining"), Some(remaining));
    }
    assert_eq!(app.statuses(&["/?pro", "/?pro", "/?pro", "/?pro"]).await, [200, 200, 200, 429]);
    assert_eq!(app.get("/?pro").await.headers["ratelimit-policy"], r#""by-head";q=5;w=60"#);
}

#[tokio::test]
async fn who_changes_plan_within_a_window_keeps_what_was_counted() {
    let (app, clock) = with_clock(Router::new().route("/", get(by_user)));
    let (free, pro) = ("/?name=ada&plan=free", "/?name=ada&plan=pro");
    assert_eq!(app.statuses(&[free, free, free]).await, [200, 200, 429]);
    let upgraded = app.get(pro).await;
    assert_eq!((upgraded.status, upgraded.number("x-ratelimit-limit")), (200, Some(5)));
    assert_eq!(upgraded.number("x-ratelimit-remaining"), Some(2), "5 less the 2 of before and this one");
    assert_eq!(upgraded.headers["ratelimit-policy"], r#""by-user";q=5;w=60"#);
    assert_eq!(app.statuses(&[pro, pro, pro]).await, [200, 200, 429]);
    assert_eq!(app.get(free).await.status, 429, "back on the smaller plan");
    assert_eq!(app.get("/?name=bob&plan=free").await.status, 200, "another user");
    assert_eq!(peeked(&app, "by-user", Quota::per_minute(5), &Key::new("user.name", "ada")).await, 0);
    clock.advance(MINUTE);
    assert_eq!(app.statuses(&[free, free, free]).await, [200, 200, 429]);
}

#[tokio::test]
async fn a_limit_of_0_denies_always_and_says_no_time_to_wait_for() {
    let (app, clock) = with_clock(Router::new().route("/", get(by_user)).route("/head", get(by_head)));
    for path in ["/?name=eve&plan=blocked", "/head?blocked"] {
        for _ in 0..2 {
            let answer = app.get(path).await;
            assert_eq!((answer.status, answer.number("x-ratelimit-limit")), (429, Some(0)), "{path}");
            assert!(!answer.headers.contains_key("retry-after"), "{answer:?}");
            assert!(answer.body.contains("\"No requests are allowed\""), "{answer:?}");
            clock.advance(MINUTE);
        }
    }
    assert_eq!(app.get("/?name=eve&plan=free").await.status, 200, "no denial was charged");
}

#[tokio::test]
async fn no_limit_is_not_counted() {
    let app = App::new(Router::new().route("/", get(or_none)));
    for _ in 0..3 {
        let answer = app.get("/?name=root&plan=internal").await;
        assert_eq!((answer.status, answer.headers.get("x-ratelimit-limit")), (200, None));
    }
    let answer = app.get("/?name=root&plan=pro").await;
    assert_eq!(answer.number("x-ratelimit-remaining"), Some(4), "nothing was counted before");
}

#[tokio::test]
async fn a_bucket_keeps_its_burst_and_takes_its_rate_from_the_request() {
    let (app, clock) = with_clock(Router::new().route("/{size}", get(bucket)));
    assert_eq!(app.statuses(&["/6", "/6", "/6", "/6"]).await, [200, 200, 200, 429]);
    clock.advance(MINUTE / 6);
    assert_eq!(app.statuses(&["/6", "/6"]).await, [200, 429], "one token in a sixth of a minute");
    clock.advance(MINUTE);
    assert_eq!(app.statuses(&["/-1", "/0", "/6"]).await, [429, 429, 200]);
}
