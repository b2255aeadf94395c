//! `utoipa::path`.

use super::*;
use utoipa::{IntoParams, OpenApi, ToSchema};

#[derive(Deserialize, Serialize, ToSchema)]
struct Order {
    items: Vec<u32>,
}

#[derive(Deserialize, IntoParams)]
struct Page {
    page: Option<u32>,
}

/// Above.
#[utoipa::path(get, path = "/above/{id}", params(Page), responses((status = 200, body = String)))]
#[rate_limit(limit = 2, window = 60)]
async fn above(Path(id): Path<u32>, Query(page): Query<Page>) -> String {
    format!("{id} {:?}", page.page)
}

/// Below.
#[rate_limit(limit = 2, window = 60)]
#[utoipa::path(get, path = "/below/{id}", params(Page), responses((status = 200, body = String)))]
async fn below(Path(id): Path<u32>, Query(page): Query<Page>) -> String {
    format!("{id} {:?}", page.page)
}

#[utoipa::path(get, path = "/alone-above")]
#[rate_limit(limit = 2, window = 60)]
async fn alone_above() -> &'static str {
    "alone"
}

#[rate_limit(limit = 2, window = 60)]
#[utoipa::path(get, path = "/alone-below")]
async fn alone_below() -> &'static str {
    "alone"
}

#[utoipa::path(post, path = "/order-above")]
#[rate_limit(limit = 2, window = 60, key = order.items.len())]
async fn order_above(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[rate_limit(limit = 2, window = 60, key = order.items.len())]
#[axum::debug_handler]
#[utoipa::path(post, path = "/order-below")]
#[tracing::instrument(skip_all)]
async fn order_below(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[derive(OpenApi)]
#[openapi(paths(above, below, alone_above, alone_below, order_above, order_below))]
struct Api;

#[tokio::test]
async fn documents_the_function_as_it_is_written_above_or_below() {
    let api: serde_json::Value = serde_json::from_str(&Api::openapi().to_json().unwrap()).unwrap();
    let text = api.to_string();
    for ours in ["Guard", "rate_limit", "RateLimited"] {
        assert!(!text.contains(ours), "{text}");
    }
    for place in ["above", "below"] {
        let path = format!("/{place}/{{id}}");
        let documented = &api["paths"][&path]["get"];
        assert_eq!(documented["summary"].as_str().map(str::to_lowercase), Some(format!("{place}.")));
        let mut parameters: Vec<&str> =
            documented["parameters"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        parameters.sort_unstable();
        assert_eq!(parameters, ["id", "page"]);
        let order = format!("/order-{place}");
        assert!(!api["paths"][&order]["post"]["requestBody"].is_null(), "{text}");
    }
}

#[tokio::test]
async fn the_documented_function_is_limited() {
    let routes = Router::new()
        .route("/above/{id}", get(above))
        .route("/below/{id}", get(below))
        .route("/alone-above", get(alone_above))
        .route("/alone-below", get(alone_below))
        .route("/order-above", post(order_above))
        .route("/order-below", post(order_below));
    let app = App::new(routes);
    for (path, body) in
        [("/above/7", "7 None"), ("/below/7", "7 None"), ("/alone-above", "alone"), ("/alone-below", "alone")]
    {
        passes_twice(&app, path, body).await;
    }
    for path in ["/order-above", "/order-below"] {
        let order = r#"{"items":[1]}"#;
        for status in [200, 200, 429] {
            assert_eq!(app.post(path, order).await.status, status, "{path}");
        }
    }
}
