//! The block lacks the attribute, and the function does not use `Self`: the name that is not found says what to do.

use axum::extract::Path;
use rateguard::rate_limit;

struct Shop;

impl Shop {
    #[rate_limit(limit = 5, window = 60)]
    async fn show(Path(id): Path<u32>) -> String {
        id.to_string()
    }
}

fn main() {}
