//! Serves the rate limiters of others, each set up as its documentation says, in front of the handler of `rateguard-benches`.
//! There is one route for each scenario, and the header `x-api-key` tells clients apart. `rateguard-benches` starts this
//! program, reads the addresses, and ends it:
//!
//! ```text
//! rateguard-bench-peers redis://127.0.0.1:6379
//! 127.0.0.1:40001 spread,hot,deny,low tower_governor 0.8.0, memory
//! …
//! ready
//! ```

mod fred;
mod governor;
#[cfg(feature = "limitador")]
mod limitador;
mod tower_rate_limiter;
mod trypema;

use std::net::SocketAddr;
use std::sync::mpsc;

use axum::Router;
use axum::routing::{MethodRouter, get};

/// The scenarios that every peer can take part in.
const ALL: &str = "spread,hot,deny,low";

fn main() {
    let url: &'static str = std::env::args().nth(1).expect("the URL of a Redis server").leak();
    serve("tower_governor 0.8.0, memory", ALL, async || governor::tower());
    serve("axum-governor 2.1.2, memory", ALL, async || governor::axum());
    serve("tower-rate-limiter 0.1.6, memory", ALL, async || tower_rate_limiter::memory());
    serve("tower-rate-limiter 0.1.6, Redis", ALL, async move || tower_rate_limiter::redis(url).await);
    serve("tower-rate-limit-fred 2.1.1, Redis", "spread,deny,low", async move || fred::app(url).await);
    serve("trypema 2.2.1, Redis", ALL, async move || trypema::app(url).await);
    #[cfg(feature = "limitador")]
    serve("limitador 0.14.0, Redis", ALL, async move || limitador::app(url).await);
    println!("ready");
    // Runs until the parent process closes its end of the pipe, or ends.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// What a scenario allows: this many requests in this many seconds.
#[derive(Clone, Copy)]
struct Allowed {
    requests: u32,
    seconds: u32,
}

const SPREAD: Allowed = Allowed { requests: 100, seconds: 2 };
const HOT: Allowed = Allowed { requests: 1_000_000, seconds: 1 };
const DENY: Allowed = Allowed { requests: 1, seconds: 3600 };

/// The route of each scenario, with a limited handler.
fn routes(limited: impl Fn(MethodRouter, Allowed) -> MethodRouter) -> Router {
    let routes = [("/spread", SPREAD), ("/hot", HOT), ("/deny", DENY)];
    routes
        .into_iter()
        .fold(Router::new(), |router, (path, allowed)| router.route(path, limited(get(async || "hello"), allowed)))
}

/// Serves an app on its own runtime, and prints the address.
fn serve(name: &str, scenarios: &str, app: impl AsyncFnOnce() -> Router + Send + 'static) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let app = app().await;
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a listener");
            tell.send(listener.local_addr().expect("its address")).expect("somebody waits for it");
            let service = app.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).await.expect("served for ever");
        });
    });
    match told.recv() {
        Ok(address) => println!("{address} {scenarios} {name}"),
        Err(_) => eprintln!("{name} does not start"),
    }
}
