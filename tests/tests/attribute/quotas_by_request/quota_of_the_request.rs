//! `quota` as a closure or an expression.

use super::*;

#[rate_limit(quota = |req| plan(req).quota(), name = "by-head")]
async fn by_head() {}

#[rate_limit(quota = |req: &Parts| { let plan = plan(req); Quota::fixed_window(plan.per_minute(), MINUTE) })]
async fn always_one() {}

#[rate_limit(quota = user.plan.quota(), key = user.name, name = "by-user")]
async fn by_user(Query(user): Query<User>) {
    drop(user);
}

#[rate_limit(quota = *quota, key = "global")]
async fn by_state(State(quota): State<&'static Quota>) {
    let _: &Quota = quota;
}

static SMALLEST: Quota = Quota::per_minute(1);

// Only one of the two depends on who asks.
#[rate_limit(quota = user.plan.quota(), key = user.name, name = "plan")]
#[rate_limit(quota = "4/1m", name = "all")]
async fn stacked(Query(user): Query<User>) {
    drop(user);
}

#[tokio::test]
async fn a_closure_gives_a_quota_or_none() {
    let app = App::new(Router::new().route("/", get(by_head)).route("/always", get(always_one)));
    assert_eq!(app.statuses(&["/", "/", "/", "/?pro", "/?internal"]).await, [200, 200, 429, 200, 200]);
    let answer = app.get("/?internal").await;
    assert_eq!(answer.headers.get("x-ratelimit-limit"), None, "not limited here, so not counted");
    assert_eq!(peeked(&app, "by-head", Quota::per_minute(5), &client()).await, 2);
    assert_eq!(app.statuses(&["/always", "/always", "/always"]).await, [200, 200, 429]);
}

#[tokio::test]
async fn an_expression_over_the_arguments_gives_a_quota_or_none() {
    let app = App::new(Router::new().route("/", get(by_user)));
    let (free, internal) = ("/?name=ada&plan=free", "/?name=ada&plan=internal");
    assert_eq!(app.statuses(&[free, internal, internal, free, free]).await, [200, 200, 200, 200, 429]);
    assert_eq!(app.get(internal).await.status, 200);
    let app = App::new(Router::new().route("/", get(by_state)).with_state(&SMALLEST));
    assert_eq!(app.statuses(&["/", "/"]).await, [200, 429]);
}

#[tokio::test]
async fn a_limit_beside_it_is_decided_together_with_it() {
    let app = App::new(Router::new().route("/", get(stacked)));
    let (free, internal) = ("/?name=ada&plan=free", "/?name=root&plan=internal");
    assert_eq!(app.statuses(&[free, free, free]).await, [200, 200, 429]);
    assert_eq!(app.statuses(&[internal, internal, internal]).await, [200, 200, 429], "the denial was not charged");
}

#[tokio::test]
async fn quotas_set_at_run_time_leave_it_alone() {
    let app = App::new(Router::new().route("/", get(by_head)));
    app.limiter.set_quota("by-head", Quota::per_minute(1));
    assert_eq!(app.statuses(&["/?pro", "/?pro", "/"]).await, [200, 200, 429]);
}
