//! Functions in `impl` blocks.

use axum::extract::{Path, State};
use rateguard::rate_limit;

#[derive(Clone)]
struct Shop;

// The block lacks the attribute.
impl Shop {
    #[rate_limit(limit = 5, window = 60)]
    async fn about_itself(_: State<Self>) {}

    #[rate_limit(limit = Self::LIMIT, window = 60)]
    async fn in_its_options() {}

    #[rate_limit(limit = 5, window = 60)]
    async fn in_its_body() -> u32 {
        Self::LIMIT
    }

    const LIMIT: u32 = 5;
}

// An option that belongs above a function, and no function with a limit.
#[rate_limit(limit = 5, window = 60)]
impl Shop {
    async fn nothing() {}
}

#[rate_limit]
impl Shop {
    #[rate_limit(limit = 5, window = 60)]
    async fn by_reference(&self) {}

    #[rate_limit(limit = 5, window = 60)]
    fn not_async() {}

    #[rate_limit(limit = 0, windw = 60)]
    async fn two_mistakes(Path(id): Path<u32>) -> String {
        id.to_string()
    }

    #[cfg_attr(all(), rate_limit(limit = 5, window = 60))]
    async fn conditional() {}

    #[rate_limit(limit = 5, window = 60)]
    const LIMIT_OF: u32 = 5;

    #[rate_limit(limit = 5, window = 60)]
    async fn sound(Path(id): Path<u32>) -> String {
        id.to_string()
    }
}

trait Api {
    fn list() -> impl Future<Output = ()>;
}

#[rate_limit]
impl Api for Shop {
    #[rate_limit(limit = 5, window = 60)]
    async fn list() {}
}

struct Cache<T>(T);

#[rate_limit]
impl<T> Cache<T> {
    #[rate_limit(limit = 5, window = 60)]
    async fn list() {}
}

fn main() {
    // Without the attribute's mistakes, the functions are still there.
    let _ = (Shop::two_mistakes(Path(1)), Shop::sound(Path(1).into()));
}
