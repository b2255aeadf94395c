//! What a client reads of a denial.

use super::*;

#[rate_limit(limit = 1000, window = "1m", unit = "tokens", cost = size)]
async fn complete(Path(size): Path<u32>) {
    let _: u32 = size;
}

#[tokio::test]
async fn of_a_denial_name_the_unit() {
    let app = App::new(Router::new().route("/{size}", get(complete)));
    assert_eq!(app.statuses(&["/999", "/2"]).await, [200, 429]);
    let answer = app.get("/2").await;
    assert!(answer.body.contains("No more than 1000 tokens in 1 minute"), "{}", answer.body);
}
