//! The attribute on items that cannot be handlers.

use axum::extract::Path;
use rateguard::rate_limit;

#[rate_limit(limit = 5, window = 60)]
fn not_async() {}

#[rate_limit(limit = 5, window = 60, key = id)]
fn a_future_with_a_limit_over_an_argument(Path(id): Path<u32>) -> impl Future<Output = String> {
    std::future::ready(id.to_string())
}

#[rate_limit(limit = 5, window = 60)]
struct Search;

impl Search {
    #[rate_limit(limit = 5, window = 60)]
    async fn by_reference(&self) {}

    #[rate_limit(limit = 5, window = 60)]
    async fn by_value(self) {}

    #[rate_limit(limit = 5, window = 60)]
    async fn with_a_type(self: std::sync::Arc<Self>) {}
}

// Both mistakes at once.
#[rate_limit(limit = 0, window = 60)]
fn two_mistakes() {}

#[rate_limit(limit = 5, window = 60)]
mod handlers {}

#[rate_limit(limit = 5, window = 60)]
const LIMIT: u32 = 5;

fn main() {}
