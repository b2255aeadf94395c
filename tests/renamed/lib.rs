//! Handlers in a crate whose manifest gives the library another name: generated code finds it without `crate = …`.
//! They are public, so that lints for libraries see what is generated.
#![deny(warnings, clippy::pedantic, clippy::nursery, missing_docs, unreachable_pub)]
#![allow(clippy::unused_async, reason = "a handler is async whether it waits or not")]

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use rg::rate_limit;

/// A limit over the head.
#[rate_limit(limit = 2, window = 60)]
pub async fn head() -> &'static str {
    "head"
}

/// Limits over an argument.
#[rg::rate_limit(limit = 2, window = 60, key = id)]
#[rg::rate_limit(limit = 9, window = "1h", skip = id == 0)]
pub async fn deferred(Path(id): Path<u32>) -> String {
    id.to_string()
}

/// A shop.
#[derive(Clone, Debug)]
pub struct Shop {
    name: &'static str,
}

#[rg::rate_limit]
impl Shop {
    /// Its name.
    #[rg::rate_limit(limit = 2, window = 60)]
    pub async fn list(State(shop): State<Self>) -> &'static str {
        shop.name
    }
}

/// The routes of all of them.
pub fn routes() -> Router {
    let shop = Router::new().route("/list", get(Shop::list)).with_state(Shop { name: "books" });
    shop.route("/head", get(head)).route("/deferred/{id}", get(deferred))
}

#[cfg(test)]
mod tests {
    use rateguard_tests::App;

    #[tokio::test]
    async fn handlers_are_limited_under_the_new_name_of_the_library() {
        let app = App::new(super::routes());
        for path in ["/list", "/head", "/deferred/7"] {
            assert_eq!(app.statuses(&[path; 3]).await, [200, 200, 429], "{path}");
        }
    }
}
