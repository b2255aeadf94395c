//! Together with the attributes that handlers have beside `#[rate_limit]`, above them and below them.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, Uri, Version};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router};
use rateguard::rate_limit;
use rateguard_tests::App;
use serde::{Deserialize, Serialize};

/// Two requests are answered with this body, the third is denied.
async fn passes_twice(app: &App, path: &str, body: &str) {
    for _ in 0..2 {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
    }
    assert_eq!(app.get(path).await.status, 429, "{path}");
}

mod debug_handler {
    use super::*;

    #[rate_limit(limit = 2, window = 60)]
    #[axum::debug_handler]
    async fn alone() -> &'static str {
        "alone"
    }

    #[rate_limit(limit = 2, window = 60)]
    #[axum::debug_handler(state = String)]
    async fn below(Path(id): Path<u32>, State(name): State<String>) -> impl IntoResponse {
        format!("{id} {name}")
    }

    #[axum::debug_handler(state = String)]
    #[rate_limit(limit = 2, window = 60)]
    async fn above(Path(id): Path<u32>, State(name): State<String>) -> impl IntoResponse {
        format!("{id} {name}")
    }

    #[rate_limit(limit = 2, window = 60, key = id)]
    #[axum::debug_handler]
    async fn below_an_argument(State(name): State<String>, Path(id): Path<u32>) -> Result<String, String> {
        if id == 7 { Ok(format!("{id} {name}")) } else { Err(name) }
    }

    #[axum::debug_handler]
    #[rate_limit(limit = 2, window = 60, key = id)]
    #[rate_limit(limit = 99, window = "1h")]
    async fn above_an_argument(State(name): State<String>, Path(id): Path<u32>) -> Result<String, String> {
        if id == 7 { Ok(format!("{id} {name}")) } else { Err(name) }
    }

    macro_rules! sixteen {
        ($(#[$attribute:meta])* $name:ident) => {
            $(#[$attribute])*
            #[expect(clippy::too_many_arguments, reason = "as many as axum takes")]
            async fn $name(
                Path(id): Path<u32>,
                State(name): State<String>,
                _: Method,
                _: Uri,
                _: Version,
                _: HeaderMap,
                _: Option<Extension<i8>>,
                _: Option<Extension<i16>>,
                _: Option<Extension<i32>>,
                _: Option<Extension<i64>>,
                _: Option<Extension<u8>>,
                _: Option<Extension<u16>>,
                _: Option<Extension<u32>>,
                _: Option<Extension<u64>>,
                _: Option<Extension<usize>>,
                body: String,
            ) -> String {
                format!("{id} {name}{body}")
            }
        };
    }
    sixteen!(
        #[rate_limit(limit = 2, window = 60)]
        #[axum::debug_handler]
        sixteen_below
    );
    sixteen!(
        #[axum::debug_handler]
        #[rate_limit(limit = 2, window = 60)]
        sixteen_above
    );
    sixteen!(
        #[axum::debug_handler]
        #[rate_limit(limit = 2, window = 60, key = |req| req.uri.path())]
        sixteen_by_closure
    );

    #[tokio::test]
    async fn may_stand_above_or_below() {
        let routes = Router::new()
            .route("/alone", get(alone))
            .route("/below/{id}", get(below))
            .route("/above/{id}", get(above))
            .route("/below-argument/{id}", get(below_an_argument))
            .route("/above-argument/{id}", get(above_an_argument))
            .route("/sixteen-below/{id}", get(sixteen_below))
            .route("/sixteen-above/{id}", get(sixteen_above))
            .route("/sixteen-by-closure/{id}", get(sixteen_by_closure));
        let app = App::new(routes.with_state("axum".to_owned()));
        passes_twice(&app, "/alone", "alone").await;
        let with_arguments = [
            "below",
            "above",
            "below-argument",
            "above-argument",
            "sixteen-below",
            "sixteen-above",
            "sixteen-by-closure",
        ];
        for path in with_arguments {
            passes_twice(&app, &format!("/{path}/7"), "7 axum").await;
        }
    }
}

mod instrument {
    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    #[rate_limit(limit = 2, window = 60)]
    #[tracing::instrument]
    async fn alone_below() -> &'static str {
        tracing::info!("inside");
        "alone"
    }

    #[tracing::instrument]
    #[rate_limit(limit = 2, window = 60)]
    async fn alone_above() -> &'static str {
        tracing::info!("inside");
        "alone"
    }

    #[rate_limit(limit = 2, window = 60)]
    #[tracing::instrument(err, ret)]
    async fn below(Path(id): Path<u32>) -> Result<String, String> {
        tracing::info!("inside");
        Err(format!("no {id}"))
    }

    #[tracing::instrument(err, ret)]
    #[rate_limit(limit = 2, window = 60)]
    async fn above(Path(id): Path<u32>) -> Result<String, String> {
        tracing::info!("inside");
        Err(format!("no {id}"))
    }

    #[rate_limit(limit = 2, window = 60, key = id)]
    #[tracing::instrument(skip_all, fields(number = id), err, ret)]
    async fn below_an_argument(Path(id): Path<u32>) -> Result<String, String> {
        tracing::info!("inside");
        Err(format!("no {id}"))
    }

    #[tracing::instrument(skip_all, fields(number = id), err, ret)]
    #[rate_limit(limit = 2, window = 60, key = id)]
    async fn above_an_argument(Path(id): Path<u32>) -> Result<String, String> {
        tracing::info!("inside");
        Err(format!("no {id}"))
    }

    #[rate_limit(limit = 2, window = 60, key = id)]
    #[tracing::instrument(err, ret)]
    async fn in_between(Path(id): Path<u32>) -> Result<String, String> {
        tracing::info!("inside");
        Ok(id.to_string())
    }

    async fn logged(log: &Log, route: MethodRouter) -> String {
        let app = App::new(Router::new().route("/{id}", route));
        log.take();
        let statuses = app.statuses(&["/7", "/7"]).await;
        assert_eq!(statuses[0], statuses[1]);
        let text = log.take();
        assert_eq!(app.get("/7").await.status, 429);
        assert!(!log.take().contains("inside"), "denied before the body");
        text
    }

    #[tokio::test]
    async fn sees_the_function_as_it_is_written_above_or_below() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        for (route, span, event) in [
            (get(alone_below), "alone_below:", "inside"),
            (get(alone_above), "alone_above:", "inside"),
            (get(below), "below{id=7}:", "error=no 7"),
            (get(above), "above{id=7}:", "error=no 7"),
            (get(below_an_argument), "below_an_argument{number=7}:", "error=no 7"),
            (get(above_an_argument), "above_an_argument{number=7}:", "error=no 7"),
            (get(in_between), "in_between{id=7}:", "return=\"7\""),
        ] {
            let text = logged(&log, route).await;
            assert!(text.lines().any(|line| line.contains(span) && line.contains("inside")), "{span}\n{text}");
            assert!(text.lines().any(|line| line.contains(span) && line.contains(event)), "{span}\n{text}");
        }
    }
}

mod utoipa_path {
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
}
