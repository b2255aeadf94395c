//! A limited handler under a global limit, in one file.
//!
//! ```text
//! cargo run --example quickstart                                     # counts in this process
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --example quickstart    # counts in Redis, together with all other such processes
//! PORT=3001 cargo run --example quickstart                           # listens on port 3001 instead of 3000
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::Query;
use axum::routing::get;
use axum::{Json, Router};
use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer, rate_limit};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Search {
    q: String,
}

#[derive(Serialize)]
struct Results {
    query: String,
    hits: [&'static str; 2],
}

#[rate_limit(limit = 5, window = 60, key = "ip")]
async fn search(Query(Search { q }): Query<Search>) -> Json<Results> {
    Json(Results { query: q, hits: ["the first result", "the second result"] })
}

async fn index() -> &'static str {
    "Try /search?q=axum\n"
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    // Counts in Redis if REDIS_URL is set, else in this process.
    let limiter = RateGuard::from_env()?;
    let app = Router::new().route("/", get(index)).route("/search", get(search)).layer(
        RateLimitLayer::new(limiter).limit("global", Quota::sliding_window(10, Duration::from_secs(60)), KeyBy::Ip),
    );

    let port = port()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("PORT = {port}: cannot listen on 127.0.0.1:{port}: {error}"))?;
    let address = listener.local_addr()?;
    println!("Listening on http://{address}. Each client gets 10 requests in 60 s, 5 of them to /search. Try:");
    println!("  curl -i 'http://{address}/search?q=axum'");
    println!(
        "  for i in 1 2 3 4 5 6; do curl -s -o /dev/null -w '%{{http_code}}\\n' 'http://{address}/search?q=axum'; done"
    );
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

fn port() -> Result<u16, String> {
    match std::env::var("PORT") {
        Err(_) => Ok(3000),
        Ok(text) => {
            text.parse().map_err(|_| format!("PORT = {text:?}: use a number from 0 to 65535 (0: any free port)"))
        }
    }
}
