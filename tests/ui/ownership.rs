//! Arguments that are moved, and handlers that are not `Send`.

use std::rc::Rc;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use rateguard::rate_limit;

fn consume(text: String) -> usize {
    text.len()
}

#[rate_limit(limit = 5, window = 60, key = consume(name))]
async fn moved_by_the_key(Path(name): Path<String>) -> String {
    name
}

#[rate_limit(limit = 5, window = 60, key = name)]
async fn moved_in_the_body(Path(name): Path<String>) -> String {
    drop(name);
    name
}

#[rate_limit(limit = 5, window = 60, key = name)]
async fn borrowed_by_a_thread(Path(name): Path<String>) {
    std::thread::spawn(|| println!("{name}"));
}

#[rate_limit(limit = 5, window = 60)]
async fn not_send() {
    let shared = Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
}

#[rate_limit(limit = 5, window = 60, key = name)]
async fn not_send_behind_a_check(Path(name): Path<String>) {
    let shared = Rc::new(1);
    std::future::ready(()).await;
    drop((shared, name));
}

fn main() {
    let _: Router = Router::new().route("/moved", get(moved_by_the_key));
}
