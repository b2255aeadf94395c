//! Handlers in `impl` blocks: the attribute stands on the block and, with its options, on each function.
#![allow(clippy::default_trait_access, reason = "as in the guide")]

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Json, Router};
use rateguard::rate_limit;
use rateguard_tests::App;

#[derive(Clone)]
struct Shop {
    name: &'static str,
}

#[rate_limit]
impl Shop {
    const LIMIT: u32 = 2;

    fn client(parts: &Parts) -> String {
        parts.uri.path().to_owned()
    }

    /// Lists everything.
    #[rate_limit(limit = Self::LIMIT, window = 60)]
    async fn list(State(shop): State<Self>) -> Json<&'static str> {
        Json(shop.name)
    }

    #[rate_limit(limit = 1, window = 60, key = |req| Self::client(req))]
    #[rate_limit(limit = 9, window = "1h", key = shop.name, cost = Self::weight(id))]
    async fn show(State(shop): State<Self>, Path(id): Path<u32>) -> Result<String, String> {
        if id == 9 {
            return Err("no 9".to_owned());
        }
        Ok(shop.describe(id))
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn ping() -> &'static str {
        "pong"
    }

    #[rate_limit(limit = 2, window = 60, key = id)]
    #[tracing::instrument(ret)]
    async fn traced(Path(id): Path<u32>) -> String {
        if id == 0 {
            return "0".to_owned();
        }
        format!("{id} {}", Box::pin(Self::traced(Path(id - 1).into())).await.is_ok())
    }

    // Not limited.
    async fn open() -> &'static str {
        "open"
    }

    fn describe(&self, id: u32) -> String {
        format!("{} {id}", self.name)
    }

    fn weight(id: u32) -> u32 {
        id
    }

    #[cfg(test)]
    #[rate_limit(limit = 1, window = 60)]
    async fn conditional() -> &'static str {
        "this"
    }

    #[cfg(not(test))]
    #[rate_limit(limit = 1, window = 60)]
    async fn conditional() -> NoSuchType {}
}

struct Blog;

#[rate_limit]
#[allow(dead_code, reason = "attributes of the block stay")]
#[cfg(test)]
impl Blog {
    #[rate_limit(limit = 1, window = 60)]
    async fn list() -> &'static str {
        "blog"
    }
}

struct Cache<T>(std::marker::PhantomData<T>);

#[rate_limit]
impl Cache<u8>
where
    u8: Copy,
{
    #[rate_limit(limit = 1, window = 60)]
    async fn list() -> &'static str {
        "u8"
    }
}

#[rate_limit]
impl self::Cache<u16> {
    #[rate_limit(limit = 1, window = 60)]
    async fn list() -> &'static str {
        "u16"
    }
}

fn app() -> App {
    let routes = Router::new()
        .route("/list", get(Shop::list))
        .route("/show/{id}", get(Shop::show))
        .with_state(Shop { name: "books" })
        .route("/ping", get(Shop::ping))
        .route("/traced/{id}", get(Shop::traced))
        .route("/open", get(Shop::open))
        .route("/conditional", get(Shop::conditional))
        .route("/blog", get(Blog::list))
        .route("/cache/8", get(Cache::<u8>::list))
        .route("/cache/16", get(Cache::<u16>::list));
    App::new(routes)
}

#[tokio::test]
async fn a_limited_function_of_a_block_is_a_handler() {
    let app = app();
    assert_eq!(app.get("/list").await.body, "\"books\"");
    assert_eq!(app.statuses(&["/list", "/list"]).await, [200, 429]);
    assert_eq!(app.statuses(&["/ping", "/ping", "/ping"]).await, [200, 200, 429]);
    assert_eq!(app.statuses(&["/open"; 5]).await, [200; 5]);
    assert_eq!(app.get("/conditional").await.body, "this");
    assert_eq!(app.get("/traced/2").await.body, "2 true");
    assert_eq!(app.statuses(&["/traced/2", "/traced/2", "/traced/1"]).await, [200, 429, 200], "counted once a request");
}

#[tokio::test]
async fn limits_use_what_self_means_in_the_block() {
    let app = app();
    assert_eq!(app.get("/show/3").await.body, "books 3");
    assert_eq!(app.statuses(&["/show/3", "/show/4"]).await, [429, 200], "one a path");
    assert_eq!(app.statuses(&["/show/5"]).await, [429], "3 and 4 of 9 units are taken");
}

#[tokio::test]
async fn functions_of_one_name_in_different_blocks_have_their_own_buckets() {
    let app = app();
    for (path, body) in [("/blog", "blog"), ("/cache/8", "u8"), ("/cache/16", "u16")] {
        assert_eq!(app.get(path).await.body, body);
        assert_eq!(app.get(path).await.status, 429, "{path}");
    }
    app.get("/list").await;
    let names: Vec<String> = app.limiter.policies().iter().map(|policy| policy.name().to_owned()).collect();
    assert_eq!(
        names,
        [
            "attribute::impl_blocks::Blog::list",
            "attribute::impl_blocks::Cache<u16>::list",
            "attribute::impl_blocks::Cache<u8>::list",
            "attribute::impl_blocks::Shop::list"
        ]
    );
}

#[tokio::test]
async fn a_test_calls_them_like_other_limited_handlers() {
    let shop = || State(Shop { name: "books" });
    for _ in 0..3 {
        assert_eq!(Shop::list(shop().into()).await.0, "books");
        assert_eq!(Shop::show(shop().into(), Path(7)).await.unwrap(), Ok("books 7".to_owned()));
        assert_eq!(Shop::ping(Default::default()).await, "pong");
    }
}

#[tokio::test]
async fn a_block_may_stand_in_a_function() {
    struct Local;

    #[rate_limit]
    impl Local {
        #[rate_limit(limit = 1, window = 60)]
        async fn list() -> &'static str {
            "local"
        }
    }

    let app = App::new(Router::new().route("/", get(Local::list)));
    assert_eq!(app.statuses(&["/", "/"]).await, [200, 429]);
    let names: Vec<String> = app.limiter.policies().iter().map(|policy| policy.name().to_owned()).collect();
    assert_eq!(names, ["attribute::impl_blocks::a_block_may_stand_in_a_function::Local::list"]);
}

/// The attribute adds no warning, and the functions keep their visibility.
#[deny(warnings, clippy::pedantic, clippy::nursery, unreachable_pub, missing_docs, dead_code)]
mod quiet {
    #![allow(clippy::redundant_pub_crate, clippy::unused_async, reason = "of the code as it is written")]
    use super::*;

    pub(crate) struct Api;

    #[rate_limit]
    impl Api {
        pub(crate) const LIMIT: u32 = 1;

        #[rate_limit(limit = Self::LIMIT, window = 60, key = |req| Self::key(req), skip = |_| false)]
        pub(crate) async fn head(State(name): State<&'static str>) -> &'static str {
            name
        }

        #[rate_limit(limit = Self::LIMIT, window = 60, key = name)]
        pub(super) async fn deferred(State(name): State<&'static str>) -> &'static str {
            name
        }

        fn key(parts: &Parts) -> &str {
            parts.uri.path()
        }
    }
}

#[tokio::test]
async fn no_lint_finds_anything() {
    let routes = Router::new().route("/head", get(quiet::Api::head)).route("/deferred", get(quiet::Api::deferred));
    let app = App::new(routes.with_state("quiet"));
    assert_eq!(app.statuses(&["/head", "/head", "/deferred", "/deferred"]).await, [200, 429, 200, 429]);
}

/// A library under another path, and a block that a macro writes.
mod elsewhere {
    pub(super) mod facade {
        pub(in super::super) use ::rateguard as rg;
    }
    use facade::rg;

    pub(super) struct Api;

    #[rg::rate_limit(crate = facade::rg)]
    impl Api {
        #[rg::rate_limit(limit = 1, window = 60)]
        pub(super) async fn list() -> &'static str {
            "list"
        }
    }

    macro_rules! block {
        ($ty:ty, $(#[$attribute:meta])* $visibility:vis fn $name:ident() $body:block) => {
            #[rg::rate_limit(crate = crate::impl_blocks::elsewhere::facade::rg)]
            impl $ty {
                $(#[$attribute])*
                $visibility async fn $name() -> &'static str $body
            }
        };
    }

    block!(
        Api,
        #[rg::rate_limit(limit = 1, window = 60)]
        pub(super) fn r#type() {
            "type"
        }
    );
}

#[tokio::test]
async fn a_block_may_come_from_a_macro_or_name_the_library() {
    use elsewhere::Api;
    let app = App::new(Router::new().route("/list", get(Api::list)).route("/type", get(Api::r#type)));
    assert_eq!(app.statuses(&["/list", "/list", "/type", "/type"]).await, [200, 429, 200, 429]);
    let names: Vec<String> = app.limiter.policies().iter().map(|policy| policy.name().to_owned()).collect();
    assert_eq!(names, ["attribute::impl_blocks::elsewhere::Api::list", "attribute::impl_blocks::elsewhere::Api::type"]);
}
