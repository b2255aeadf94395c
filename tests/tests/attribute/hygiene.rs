//! Generated code does not depend on the names around it, adds none, and raises no lint.

use axum::Router;
use axum::routing::get;
use rateguard_tests::{App, quiet};

async fn passes_twice(app: &App, path: &str, body: &str) {
    for _ in 0..2 {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
    }
    assert_eq!(app.get(path).await.status, 429, "{path}");
}

#[tokio::test]
async fn handlers_compile_in_a_library_that_denies_every_lint() {
    let routes = Router::new()
        .route("/alone", get(quiet::alone))
        .route("/unnamed/{id}", get(quiet::unnamed))
        .route("/head/{id}", get(quiet::head).with_state("hello"));
    let app = App::new(routes);
    passes_twice(&app, "/alone", "alone").await;
    passes_twice(&app, "/unnamed/3", "3").await;
    // Shadow mode: counted, never denied.
    assert_eq!(app.statuses(&["/head/3"; 4]).await, [200; 4]);
}

mod without_prelude {
    #![no_implicit_prelude]

    use ::axum::extract::Path;
    use ::rateguard::rate_limit;

    #[rate_limit(limit = 2, window = 60)]
    pub(super) async fn head() -> &'static str {
        "head"
    }

    #[rate_limit(limit = 2, window = 60, key = ("ip", id), skip = id == 9, cost = |_| 1_u64)]
    #[rate_limit(limit = 100, window = "1h", key = |req| req.uri.path(), cost = id)]
    pub(super) async fn argument(Path(id): Path<u32>) -> ::std::string::String {
        ::std::string::ToString::to_string(&id)
    }

    #[rate_limit(limit = id, window = 60, algorithm = "token_bucket", burst = 2, key = id, exempt = ["private"])]
    #[rate_limit(limit = |_| 100_i64, window = MINUTE, unit = "requests")]
    #[rate_limit(quota = |_| QUOTA, key = "global")]
    #[rate_limit(quota = quota_of(id))]
    #[rate_limit(policy = POLICY, cost = id)]
    pub(super) async fn by_request(Path(id): Path<u32>) -> ::std::string::String {
        ::std::string::ToString::to_string(&id)
    }

    const MINUTE: ::std::time::Duration = ::std::time::Duration::from_secs(60);
    const QUOTA: ::rateguard::Quota = ::rateguard::Quota::per_minute(100);
    const POLICY: ::rateguard::Policy = ::rateguard::Policy::new("without-prelude", QUOTA);

    fn quota_of(id: u32) -> ::rateguard::Quota {
        ::rateguard::Quota::per_minute(id + 100)
    }
}

/// Every bare name that generated code could use means something else here.
#[allow(dead_code, unused_macros, non_camel_case_types, reason = "they only have to exist")]
mod shadowed {
    use ::axum::extract::Path;
    use ::rateguard::rate_limit;

    pub(super) struct Result;
    pub(super) struct Option;
    pub(super) struct Some;
    pub(super) struct None;
    pub(super) struct Ok;
    pub(super) struct Err;
    pub(super) struct Send;
    pub(super) struct Fn;
    pub(super) struct Duration;
    pub(super) struct Guard;
    pub(super) struct Limits;
    struct bool;
    struct str;
    mod core {}
    mod std {}
    mod axum {}
    mod rateguard {}
    macro_rules! concat {
        () => {};
    }
    macro_rules! module_path {
        () => {};
    }

    #[rate_limit(limit = 2, window = 60)]
    pub(super) async fn head() -> &'static ::std::primitive::str {
        "head"
    }

    #[rate_limit(limit = 2, window = 60, key = ("ip", id), skip = id == 9, cost = |_| 1_u64)]
    #[rate_limit(limit = 100, window = "1h", key = |req| req.uri.path(), cost = id)]
    pub(super) async fn argument(Path(id): Path<u32>) -> ::std::string::String {
        id.to_string()
    }

    #[rate_limit(limit = id, window = 60, algorithm = "token_bucket", burst = 2, key = id, exempt = ["private"])]
    #[rate_limit(limit = |_| 100_i64, window = MINUTE, unit = "requests")]
    #[rate_limit(quota = |_| QUOTA, key = "global")]
    #[rate_limit(quota = quota_of(id))]
    #[rate_limit(policy = POLICY, cost = id)]
    pub(super) async fn by_request(Path(id): Path<u32>) -> ::std::string::String {
        ::std::string::ToString::to_string(&id)
    }

    const MINUTE: ::std::time::Duration = ::std::time::Duration::from_secs(60);
    const QUOTA: ::rateguard::Quota = ::rateguard::Quota::per_minute(100);
    const POLICY: ::rateguard::Policy = ::rateguard::Policy::new("shadowed", QUOTA);

    fn quota_of(id: u32) -> ::rateguard::Quota {
        ::rateguard::Quota::per_minute(id + 100)
    }
}

/// The library under another path, as in a framework that re-exports it. Names in a manifest are tested in `renamed/`.
mod renamed {
    use axum::extract::Path;

    pub(super) mod facade {
        pub(in super::super) use ::rateguard as rg;
    }
    use facade::rg;

    #[rg::rate_limit(limit = 2, window = 60, crate = rg)]
    pub(super) async fn head() -> &'static str {
        "head"
    }

    #[rg::rate_limit(limit = 2, window = 60, key = id, crate = crate::hygiene::renamed::facade::rg)]
    pub(super) async fn argument(Path(id): Path<u32>) -> String {
        id.to_string()
    }
}

#[tokio::test]
async fn the_names_around_a_handler_do_not_matter() {
    let routes = Router::new()
        .route("/prelude/head", get(without_prelude::head))
        .route("/prelude/{id}", get(without_prelude::argument))
        .route("/prelude/by-request/{id}", get(without_prelude::by_request))
        .route("/shadowed/by-request/{id}", get(shadowed::by_request))
        .route("/shadowed/head", get(shadowed::head))
        .route("/shadowed/{id}", get(shadowed::argument))
        .route("/renamed/head", get(renamed::head))
        .route("/renamed/{id}", get(renamed::argument));
    let app = App::new(routes);
    for module in ["prelude", "shadowed", "renamed"] {
        passes_twice(&app, &format!("/{module}/head"), "head").await;
        passes_twice(&app, &format!("/{module}/7"), "7").await;
    }
    for module in ["prelude", "shadowed"] {
        passes_twice(&app, &format!("/{module}/by-request/7"), "7").await;
    }
    assert_eq!(app.statuses(&["/prelude/9"; 5]).await, [200; 5], "skipped by one, and far from the other");
}
