//! `on_error`.

use super::*;

#[rate_limit(limit = 1, window = 60)]
async fn default() {}
#[rate_limit(limit = 1, window = 60, on_error = "open")]
async fn open() {}
#[rate_limit(limit = 1, window = 60, on_error = "closed")]
async fn closed() {}
#[rate_limit(limit = 1, window = 60, on_error = "local")]
async fn local() {}
#[rate_limit(limit = 1, window = 60, on_error = "closed", key = id)]
async fn closed_by_argument(Path(id): Path<u32>) {
    let _ = id;
}

#[tokio::test]
async fn of_the_store_are_answered_as_on_error_says() {
    // No server listens there.
    let limiter = RateGuard::redis("redis://127.0.0.1:1").unwrap();
    let routes = Router::new()
        .route("/default", get(default))
        .route("/open", get(open))
        .route("/closed", get(closed))
        .route("/local", get(local))
        .route("/argument/{id}", get(closed_by_argument));
    let app = App::with(limiter, routes);
    assert_eq!(app.statuses(&["/default", "/default", "/open", "/open"]).await, [200; 4]);
    assert_eq!(app.statuses(&["/closed", "/argument/7"]).await, [503; 2]);
    assert_eq!(app.statuses(&["/local", "/local"]).await, [200, 429]);
}
