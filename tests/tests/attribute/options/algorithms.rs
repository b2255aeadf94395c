//! `algorithm` and `burst`.

use super::*;

#[rate_limit(limit = 2, window = 60, algorithm = "sliding_window")]
async fn sliding_window() {}
#[rate_limit(limit = 2, window = 60, algorithm = "sliding_counter")]
async fn sliding_counter() {}
#[rate_limit(limit = 2, window = 60, algorithm = "fixed_window")]
async fn fixed_window() {}
#[rate_limit(limit = 2, window = 60, algorithm = "token_bucket")]
async fn token_bucket() {}
#[rate_limit(limit = 1, window = 60, algorithm = "token_bucket", burst = BURST + 1)]
async fn burst() {}
// More than the limit, and less than the burst.
#[rate_limit(limit = 1, window = 60, algorithm = "token_bucket", burst = BURST + 1, cost = 3)]
async fn costly() {}
const BURST: u32 = 2;

#[tokio::test]
async fn each_allows_its_number_of_requests() {
    let app = App::new(
        Router::new()
            .route("/sliding_window", get(sliding_window))
            .route("/sliding_counter", get(sliding_counter))
            .route("/fixed_window", get(fixed_window))
            .route("/token_bucket", get(token_bucket))
            .route("/burst", get(burst))
            .route("/costly", get(costly)),
    );
    for path in ["/sliding_window", "/sliding_counter", "/fixed_window", "/token_bucket"] {
        assert_eq!(app.statuses(&[path; 3]).await, [200, 200, 429], "{path}");
    }
    assert_eq!(app.statuses(&["/burst"; 4]).await, [200, 200, 200, 429]);
    assert_eq!(app.statuses(&["/costly"; 2]).await, [200, 429]);
}
