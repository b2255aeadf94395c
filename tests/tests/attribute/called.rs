//! A limited handler is a function: tests and other handlers call it. Names in its body that look like its own mean
//! something else.
#![allow(clippy::default_trait_access, reason = "as in the guide")]

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rateguard::rate_limit;
use rateguard_tests::App;
use serde::{Deserialize, Serialize};

mod directly {
    use super::*;

    #[rate_limit(limit = 1, window = 60)]
    async fn show(State(shop): State<&'static str>, Path(id): Path<u32>) -> String {
        format!("{shop} {id}")
    }

    #[rate_limit(limit = 1, window = 60)]
    async fn ping() -> &'static str {
        "pong"
    }

    #[rate_limit(limit = 1, window = 60)]
    async fn echo(Json(text): Json<String>) -> Json<String> {
        Json(text)
    }

    #[rate_limit(limit = 1, window = 60)]
    async fn raw(request: Request) -> String {
        request.uri().to_string()
    }

    #[rate_limit(limit = 1, window = 60)]
    async fn optional(id: Option<Path<u32>>) -> String {
        format!("{:?}", id.map(|id| id.0))
    }

    #[rate_limit(limit = 1, window = 60)]
    #[rate_limit(limit = 1, window = 60, key = id, cost = id)]
    async fn by_argument(Path(id): Path<u32>) -> Result<String, StatusCode> {
        if id == 7 { Ok(id.to_string()) } else { Err(StatusCode::NOT_FOUND) }
    }

    #[rate_limit(limit = 1, window = 60)]
    async fn generic<T: Send + ToString>(Path(id): Path<T>) -> String {
        id.to_string()
    }

    #[rate_limit(limit = 1, window = 60)]
    fn a_future_itself(Path(id): Path<u32>) -> impl Future<Output = String> + Send {
        std::future::ready(id.to_string())
    }

    #[rate_limit(limit = 1, window = 60)]
    fn a_box(Path(id): Path<u32>) -> std::pin::Pin<Box<dyn Future<Output = String> + Send>> {
        Box::pin(async move { id.to_string() })
    }

    #[tokio::test]
    async fn a_test_calls_a_handler_without_an_app_and_is_never_denied() {
        for _ in 0..3 {
            assert_eq!(show(State("books").into(), Path(2)).await, "books 2");
            assert_eq!(ping(Default::default()).await, "pong");
            assert_eq!(ping(().into()).await, "pong");
            assert_eq!(echo(Json("a".to_owned()).into()).await.0, "a");
            assert_eq!(raw(Request::new("body".into()).into()).await, "/");
            assert_eq!(optional(Some(Path(3)).into()).await, "Some(3)");
            assert_eq!(optional(None.into()).await, "None");
            // A limit over the arguments: the answer may also be a denial, so the test unwraps.
            assert_eq!(by_argument(Path(7).into()).await.unwrap(), Ok("7".to_owned()));
            assert_eq!(by_argument(Path(8).into()).await.unwrap(), Err(StatusCode::NOT_FOUND));
            assert_eq!(generic(Path("x").into()).await, "x");
            assert_eq!(a_future_itself(Path(7).into()).await, "7");
            assert_eq!(a_box(Path(7).into()).await, "7");
        }
        let task = tokio::spawn(show(State("books").into(), Path(2)));
        assert_eq!(task.await.unwrap(), "books 2");
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn forwards(Path(id): Path<u32>) -> Response {
        (show(State("books").into(), Path(id)).await, ping(Default::default()).await).1.into_response()
    }

    #[tokio::test]
    async fn a_handler_calls_another_and_only_its_own_limit_counts() {
        let app = App::new(Router::new().route("/{id}", get(forwards)).route("/ping", get(ping)));
        assert_eq!(app.statuses(&["/1", "/2", "/3", "/ping", "/ping"]).await, [200, 200, 429, 200, 429]);
    }

    #[tokio::test]
    async fn a_function_that_returns_a_future_is_limited_as_well() {
        let app = App::new(Router::new().route("/a/{id}", get(a_future_itself)).route("/b/{id}", get(a_box)));
        assert_eq!(app.statuses(&["/a/7", "/a/7", "/b/7", "/b/7"]).await, [200, 429, 200, 429]);
    }
}

/// Names like the handler's that are not the handler. `dead_code` is denied, so a copy of the function would be found.
#[deny(warnings)]
mod namesakes {
    use super::*;

    #[derive(Default, Deserialize, Serialize)]
    struct Stats {
        users: u32,
    }

    mod service {
        pub(super) async fn login(n: u32) -> u32 {
            n + 1
        }
        pub(super) fn logout<T: ToString + Copy>(n: T) -> String {
            n.to_string()
        }
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn users(Query(stats): Query<Stats>) -> Json<Stats> {
        let users: Vec<u32> = vec![stats.users];
        let count = |users: &[u32]| users.len();
        Json(Stats { users: u32::try_from(count(&users)).unwrap_or(0) })
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn login(Path(n): Path<u32>) -> String {
        service::login(n).await.to_string()
    }

    #[rate_limit(limit = 2, window = 60, key = n)]
    async fn logout(Path(n): Path<u32>) -> String {
        use service::logout;
        logout::<u32>(n)
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn register(Path(n): Path<u32>) -> String {
        use service::login as register;
        register(n).await.to_string()
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn count(Path(n): Path<u32>) -> String {
        fn count(n: u32) -> u32 {
            if n > 0 { 1 + count(n - 1) } else { 0 }
        }
        count(n).to_string()
    }

    #[rate_limit(limit = 2, window = 60, key = n)]
    async fn twice(Path(n): Path<u32>) -> String {
        let twice = |n: u32| n * 2;
        twice(n).to_string()
    }

    #[tokio::test]
    async fn of_a_handler_in_its_body_mean_the_same_as_without_the_attribute() {
        let app = App::new(
            Router::new()
                .route("/users", get(users))
                .route("/login/{n}", get(login))
                .route("/logout/{n}", get(logout))
                .route("/register/{n}", get(register))
                .route("/count/{n}", get(count))
                .route("/twice/{n}", get(twice)),
        );
        for (path, body) in [
            ("/users?users=3", r#"{"users":1}"#),
            ("/login/3", "4"),
            ("/logout/3", "3"),
            ("/register/3", "4"),
            ("/count/3", "3"),
            ("/twice/3", "6"),
        ] {
            assert_eq!(app.get(path).await.body, body, "{path}");
        }
    }
}

/// Handlers in functions, beside their routes.
mod functions {
    use super::*;

    fn shop() -> Router {
        #[rate_limit(limit = 1, window = 60)]
        async fn list() {}
        Router::new().route("/shop", get(list))
    }

    fn blog() -> Router {
        #[rate_limit(limit = 5, window = 60)]
        #[rate_limit(limit = 9, window = 60, key = "global")]
        async fn list() {}
        #[rate_limit(limit = 1, window = 60, name = "drafts")]
        async fn drafts() {}
        Router::new().route("/blog", get(list)).route("/drafts", get(drafts))
    }

    async fn routes() -> Router {
        #[rate_limit(limit = 3, window = 60)]
        async fn list() {}
        std::future::ready(Router::new().route("/async", get(list))).await
    }

    struct Api;

    impl Api {
        fn routes() -> Router {
            #[rate_limit(limit = 4, window = 60)]
            async fn list() {}
            Router::new().route("/api", get(list))
        }
    }

    #[tokio::test]
    async fn with_handlers_of_one_name_give_each_its_own_bucket() {
        let app = App::new(shop().merge(blog()).merge(routes().await).merge(Api::routes()));
        assert_eq!(
            app.statuses(&["/shop", "/shop", "/blog", "/blog", "/async", "/api"]).await,
            [200, 429, 200, 200, 200, 200]
        );
        let answer = app.get("/blog").await;
        assert_eq!((answer.status, answer.number("x-ratelimit-limit")), (200, Some(5)), "its own quota");
        app.get("/drafts").await;
        let names: Vec<String> = app.limiter.policies().iter().map(|policy| policy.name().to_owned()).collect();
        assert_eq!(
            names,
            [
                "attribute::called::functions::Api::routes::list",
                "attribute::called::functions::blog::list",
                "attribute::called::functions::blog::list#2",
                "attribute::called::functions::routes::list",
                "attribute::called::functions::shop::list",
                "drafts",
            ]
        );
    }
}
