//! The one order of attributes that cannot work.

use axum::Router;
use axum::routing::get;
use rateguard::rate_limit;

// It has called the function without the guard before the guard was there.
#[axum::debug_handler]
#[rate_limit(limit = 5, window = 60)]
async fn ping() {}

fn main() {
    let _: Router = Router::new().route("/", get(ping));
}
