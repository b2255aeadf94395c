//! `window`.

use super::*;

const HALF: Duration = Duration::from_millis(500);

#[rate_limit(limit = 1, window = "500ms")]
async fn text() {}
#[rate_limit(limit = 1, window = HALF)]
async fn constant() {}
#[rate_limit(limit = 1, window = Duration::from_millis(500))]
async fn expression() {}
#[rate_limit(limit = 1, window = "1d")]
async fn day() {}

#[tokio::test]
async fn are_seconds_or_texts_with_a_unit_or_durations() {
    let clock = ManualClock::new();
    let app = App::with(
        RateGuard::builder().clock(clock.clone()).build().unwrap(),
        Router::new()
            .route("/text", get(text))
            .route("/constant", get(constant))
            .route("/expression", get(expression))
            .route("/day", get(day)),
    );
    let all = ["/text", "/constant", "/expression", "/day"];
    assert_eq!(app.statuses(&all).await, [200; 4]);
    assert_eq!(app.statuses(&all).await, [429; 4]);
    clock.advance(Duration::from_millis(499));
    assert_eq!(app.statuses(&all).await, [429; 4]);
    clock.advance(Duration::from_millis(1));
    assert_eq!(app.statuses(&all).await, [200, 200, 200, 429]);
    assert_eq!(app.get("/day").await.number("retry-after"), Some(86_400), "half a second less, rounded up");
}
