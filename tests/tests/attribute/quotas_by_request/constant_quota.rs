//! `quota` as a text or a constant.

use super::*;

const SEARCH: Quota = Quota::sliding_window(2, MINUTE);

#[rate_limit(quota = "2/60s")]
async fn text() {}
#[rate_limit(quota = " token_bucket : 2/1m :burst=3")]
async fn bucket() {}
#[rate_limit(quota = "fixed_window:1/1500us", name = "fine")]
async fn fine() {}
#[rate_limit(quota = SEARCH)]
async fn named() {}
#[rate_limit(quota = Quota::per_minute(2), cost = 2, name = "call")]
async fn call() {}
#[rate_limit(quota = if cfg!(debug_assertions) { Quota::per_hour(1) } else { SEARCH })]
async fn chosen() {}

#[tokio::test]
async fn is_a_text_or_a_constant() {
    let routes = Router::new()
        .route("/text", get(text))
        .route("/bucket", get(bucket))
        .route("/fine", get(fine))
        .route("/named", get(named))
        .route("/call", get(call))
        .route("/chosen", get(chosen));
    let (app, _) = with_clock(routes);
    assert_eq!(app.statuses(&["/text", "/text", "/text"]).await, [200, 200, 429]);
    assert_eq!(app.statuses(&["/bucket", "/bucket", "/bucket", "/bucket"]).await, [200, 200, 200, 429]);
    assert_eq!(app.statuses(&["/fine", "/fine"]).await, [200, 429]);
    assert_eq!(app.statuses(&["/named", "/named", "/named"]).await, [200, 200, 429]);
    assert_eq!(app.statuses(&["/call", "/call"]).await, [200, 429]);
    assert_eq!(app.get("/chosen").await.status, 200);
    let quotas: Vec<String> =
        app.limiter.policies().iter().filter_map(PolicyInfo::quota).map(|quota| quota.to_string()).collect();
    assert!(quotas.contains(&"token_bucket:2/1m:burst=3".to_owned()), "{quotas:?}");
    assert!(quotas.contains(&"fixed_window:1/1500us".to_owned()), "{quotas:?}");
}

#[tokio::test]
async fn is_replaced_by_one_that_is_set_at_run_time() {
    let app = App::new(Router::new().route("/", get(call)));
    app.limiter.set_quota("call", Quota::per_minute(4));
    assert_eq!(app.statuses(&["/", "/", "/"]).await, [200, 200, 429]);
}
