//! The one order of attributes that cannot work.

use axum::Router;
use axum::routing::get;
use rateguard::rate_limit;

// `debug_handler` is expanded first, and calls the function without the guard.
#[axum::debug_handler]
#[rate_limit(limit = 5, window = 60)]
async fn ping() {}

fn main() {
    let _: Router = Router::new().route("/", get(ping));
}
