//! Limited handlers with crates that read the types of handlers: typed paths of axum-extra, and documents by aide and
//! utoipa.

use axum::extract::State;
use axum::{Json, Router};
use rateguard::rate_limit;
use rateguard_tests::App;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod typed_paths {
    use super::*;
    use axum_extra::routing::{RouterExt, TypedPath};

    #[derive(Deserialize, TypedPath)]
    #[typed_path("/users/{id}")]
    struct User {
        id: u32,
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn by_head(User { id }: User, State(name): State<&'static str>) -> String {
        format!("{name} {id}")
    }

    #[derive(Deserialize, TypedPath)]
    #[typed_path("/orders/{id}")]
    struct Order {
        id: u32,
    }

    #[rate_limit(limit = 2, window = 60, key = order.id)]
    async fn by_argument(order: Order) -> String {
        order.id.to_string()
    }

    #[tokio::test]
    async fn give_a_limited_handler_its_route() {
        let app = App::new(Router::new().typed_get(by_head).with_state("user").typed_get(by_argument));
        assert_eq!(app.get("/users/7").await.body, "user 7");
        assert_eq!(app.statuses(&["/users/7", "/users/7"]).await, [200, 429]);
        assert_eq!(app.statuses(&["/orders/7", "/orders/7", "/orders/7"]).await, [200, 200, 429]);
    }

    #[test]
    fn are_formatted_as_without_a_limit() {
        let limited = rateguard::Limited::<(), User>::from(User { id: 7 });
        assert_eq!((limited.to_uri(), limited.to_string()), ("/users/7".parse().unwrap(), "/users/7".to_owned()));
    }
}

mod by_aide {
    use super::*;
    use aide::axum::ApiRouter;
    use aide::axum::routing::{get, post};
    use aide::openapi::OpenApi;

    #[derive(Deserialize, Serialize, schemars::JsonSchema)]
    struct Order {
        items: Vec<u32>,
    }

    #[rate_limit(limit = 5, window = 60)]
    #[rate_limit(limit = 100, window = "1h", key = "global")]
    async fn ping() -> String {
        "pong".to_owned()
    }

    #[rate_limit(limit = 5, window = 60, cost = order.items.len())]
    async fn order(Json(order): Json<Order>) -> Json<Order> {
        Json(order)
    }

    #[test]
    fn the_429_is_documented_with_the_limits_in_words() {
        let mut api = OpenApi::default();
        let routes: ApiRouter = ApiRouter::new().api_route("/ping", get(ping)).api_route("/order", post(order));
        let _: Router = routes.finish_api(&mut api);
        let api = serde_json::to_value(api).unwrap();
        let denied = |path: &str, method: &str| -> Value { api["paths"][path][method]["responses"]["429"].clone() };
        let words = "Too many requests. At most 5 requests a minute for each client address. \
                     At most 100 requests an hour for all clients together.";
        assert_eq!(denied("/ping", "get")["description"], words, "{api:#}");
        let order = denied("/order", "post");
        let words = "Too many requests. At most 5 units a minute for each client address; a request counts as `order.items.len()`.";
        assert_eq!(order["description"], words, "{api:#}");
        assert_eq!(order["headers"]["retry-after"]["schema"]["type"], "integer");
        assert!(order["content"]["application/problem+json"].is_object());
        // Everything else is documented as without a limit.
        assert!(api["paths"]["/order"]["post"]["requestBody"].is_object());
        assert!(api["paths"]["/order"]["post"]["responses"]["200"].is_object());
    }
}

mod by_utoipa {
    use super::*;
    use axum::http::StatusCode;
    use utoipa::{IntoResponses, OpenApi};

    /// The limit is above: the document has the 429.
    #[rate_limit(limit = 5, window = 60)]
    #[utoipa::path(get, path = "/above/{id}", responses((status = 200, body = String)))]
    async fn above(axum::extract::Path(id): axum::extract::Path<u32>) -> String {
        id.to_string()
    }

    /// Without arguments and responses, and with two limits.
    #[rate_limit(limit = 5, window = 60, key = "user")]
    #[rate_limit(limit = 100, window = "1h", key = "global")]
    #[utoipa::path(get, path = "/alone")]
    async fn alone() -> &'static str {
        "alone"
    }

    /// Names a 429 itself.
    #[rate_limit(limit = 5, window = 60)]
    #[utoipa::path(get, path = "/own", responses((status = 429, description = "Slow down.")))]
    async fn own() -> &'static str {
        "own"
    }

    #[derive(IntoResponses)]
    #[allow(dead_code, reason = "for the document")]
    enum Answers {
        #[response(status = 200, description = "Fine.")]
        Fine,
        #[response(status = 429, description = "Slow down, please.")]
        TooMany,
    }

    /// Names a 429 by a type.
    #[rate_limit(limit = 5, window = 60)]
    #[utoipa::path(get, path = "/typed", responses(Answers))]
    async fn typed() -> StatusCode {
        StatusCode::OK
    }

    /// The limit is below: the path is expanded first, so the type is named.
    #[utoipa::path(get, path = "/below", responses((status = 200, body = String), rateguard::RateLimited))]
    #[rate_limit(limit = 5, window = 60)]
    async fn below() -> &'static str {
        "below"
    }

    #[derive(OpenApi)]
    #[openapi(paths(above, alone, own, typed, below))]
    struct Api;

    #[test]
    fn the_429_is_documented_unless_the_handler_names_its_own() {
        let api: Value = serde_json::from_str(&Api::openapi().to_json().unwrap()).unwrap();
        let denied = |path: &str| -> Value { api["paths"][path]["get"]["responses"]["429"].clone() };
        for (path, words) in [
            ("/above/{id}", "Too many requests. At most 5 requests a minute for each client address."),
            (
                "/alone",
                "Too many requests. At most 5 requests a minute for each user. \
                 At most 100 requests an hour for all clients together.",
            ),
            ("/own", "Slow down."),
            ("/typed", "Slow down, please."),
            ("/below", "Too many requests."),
        ] {
            assert_eq!(denied(path)["description"], words, "{api:#}");
        }
        for path in ["/above/{id}", "/alone", "/below"] {
            let denied = denied(path);
            assert!(denied["content"]["application/problem+json"].is_object(), "{denied:#}");
            for header in ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
                assert_eq!(denied["headers"][header]["schema"]["type"], "integer", "{denied:#}");
            }
        }
        assert!(api["paths"]["/above/{id}"]["get"]["responses"]["200"].is_object(), "what was there stays");
        assert!(api["paths"]["/own"]["get"]["responses"]["429"]["headers"].is_null());
    }

    #[tokio::test]
    async fn the_documented_handlers_are_limited() {
        use axum::routing::get;
        let routes = Router::new().route("/above/{id}", get(above)).route("/alone", get(alone)).route("/own", get(own));
        let app = App::new(routes.route("/typed", get(typed)).route("/below", get(below)));
        for path in ["/above/7", "/own", "/typed", "/below"] {
            assert_eq!(app.statuses(&[path; 6]).await, [200, 200, 200, 200, 200, 429], "{path}");
        }
    }
}
