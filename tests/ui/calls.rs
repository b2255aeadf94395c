//! A limited handler is called as if it had no limit: the compiler says how to call it.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use rateguard::rate_limit;

#[rate_limit(limit = 5, window = 60)]
async fn show(State(shop): State<u32>, Path(id): Path<u32>) -> String {
    format!("{shop} {id}")
}

#[rate_limit(limit = 5, window = 60)]
async fn ping() {}

#[rate_limit(limit = 5, window = 60, key = id)]
async fn by_argument(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

async fn tests() {
    show(State(1), Path(2)).await;
    ping().await;
    let answer: Json<u32> = by_argument(Path(1).into()).await;
}

// An argument that is not an extractor.
#[rate_limit(limit = 5, window = 60)]
async fn no_extractor(id: u32) -> String {
    id.to_string()
}

fn main() {
    let _: Router = Router::new().route("/", get(no_extractor));
}
