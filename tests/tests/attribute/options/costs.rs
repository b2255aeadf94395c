//! `cost`.

use super::*;

#[rate_limit(limit = 10, window = 60, cost = 4)]
async fn literal() {}
#[rate_limit(limit = 10, window = 60, cost = |req| req.headers.len())]
async fn closure() {}
#[rate_limit(limit = 10, window = 60, cost = order.items.len())]
async fn expression(Json(order): Json<Order>) -> String {
    order.items.len().to_string()
}
#[rate_limit(limit = 10, window = 60, cost = PRICE / 2)]
async fn constant() {}
const PRICE: u64 = 8;
#[rate_limit(limit = 10, window = 60, cost = *items)]
async fn signed(Path(items): Path<Box<i64>>) -> String {
    items.to_string()
}

#[tokio::test]
async fn are_charged_to_the_quota() {
    let app = App::new(
        Router::new()
            .route("/literal", get(literal))
            .route("/closure", get(closure))
            .route("/expression", post(expression))
            .route("/constant", get(constant))
            .route("/signed/{items}", get(signed)),
    );
    let remaining = "x-ratelimit-remaining";
    assert_eq!(app.get("/literal").await.number(remaining), Some(6));
    assert_eq!(app.get("/literal").await.number(remaining), Some(2));
    assert_eq!(app.get("/literal").await.status, 429);
    assert_eq!(app.get_with("/closure", "a", "b").await.number(remaining), Some(9));
    assert_eq!(app.get("/closure").await.number(remaining), Some(8), "never less than 1");
    let order = r#"{"customer":"ada","items":[1,2,3,4,5,6]}"#;
    assert_eq!(app.post("/expression", order).await.number(remaining), Some(4));
    assert_eq!(app.post("/expression", order).await.status, 429);
    assert_eq!(app.get("/constant").await.number(remaining), Some(6));
    assert_eq!(app.get("/signed/-5").await.number(remaining), Some(9));
    assert_eq!(app.get("/signed/9").await.number(remaining), Some(0));
}
