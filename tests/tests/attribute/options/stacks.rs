//! Several limits above one handler.

use super::*;

#[rate_limit(limit = 2, window = 60, key = "header:x-api-key", name = "by-key")]
#[rate_limit(limit = 9, window = "1h", name = "by-address")]
async fn by_the_head() {}

#[tokio::test]
async fn are_decided_together_and_a_denial_charges_none_of_them() {
    let app = App::new(Router::new().route("/", get(by_the_head)));
    for (remaining, status) in [(1, 200), (0, 200), (0, 429), (0, 429)] {
        let answer = app.get_with("/", "x-api-key", "one").await;
        assert_eq!((answer.number("x-ratelimit-remaining"), answer.status), (Some(remaining), status));
        assert_eq!(answer.number("x-ratelimit-limit"), Some(2), "the one nearest to exhaustion");
    }
    let by_address = Policy::new("by-address", Quota::sliding_window(9, Duration::from_secs(3600)));
    assert_eq!(app.limiter.check(&by_address, &client()).await.remaining(), 9 - 2 - 1);
    assert_eq!(app.get_with("/", "x-api-key", "other").await.status, 200);
}

#[rate_limit(limit = 2, window = 60, key = tenant, name = "by-tenant")]
#[rate_limit(limit = 9, window = 60, cost = tenant.len(), name = "by-length")]
async fn by_arguments(Path(tenant): Path<String>) {
    drop(tenant);
}

#[tokio::test]
async fn over_arguments_are_decided_together_as_well() {
    let app = App::new(Router::new().route("/{tenant}", get(by_arguments)));
    assert_eq!(app.statuses(&["/ab", "/ab", "/ab", "/abcdef", "/abcde"]).await, [200, 200, 429, 429, 200]);
    assert_eq!(left(&app, "by-tenant", 2, Key::new("tenant", "abcdef")).await, 2);
}

#[rate_limit(limit = 2, window = 60, key = tenant, name = "deferred")]
#[rate_limit(limit = 9, window = 60, name = "at-once")]
async fn by_both(Path(tenant): Path<String>) {
    drop(tenant);
}

#[tokio::test]
async fn over_the_head_and_over_arguments_are_all_counted() {
    let app = App::new(Router::new().route("/{tenant}", get(by_both)));
    assert_eq!(app.statuses(&["/a", "/a", "/a", "/b"]).await, [200, 200, 429, 200]);
    assert_eq!(left(&app, "deferred", 2, Key::new("tenant", "a")).await, 1);
    assert_eq!(left(&app, "at-once", 9, client()).await, 6, "the denial is not charged");
}

#[rate_limit(limit = 1, window = 1, key = "global")]
#[rate_limit(limit = 1, window = 60, key = ("ip", *number))]
#[rate_limit(limit = 1, window = 60, key = |req| req.uri.path(), name = "third")]
async fn three(State(()): State<()>, Extension(number): Extension<Arc<usize>>) {
    drop(number);
}

#[tokio::test]
async fn may_have_any_number_of_limits() {
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
    let routes = Router::new().route("/", get(three)).with_state(()).layer(Extension(Arc::new(7_usize)));
    let app = App::with(limiter, routes);
    assert_eq!(app.statuses(&["/", "/"]).await, [200, 429]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(app.get("/").await.status, 429, "the first allows again, the others do not");
}
