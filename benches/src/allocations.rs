//! Allocations of a request to an axum app: bare, and with each part of the limiter. Allocations are counted, so the result is
//! the same on any machine.
//!
//! ```text
//! cargo bench -p rateguard-benches --bench allocations
//! ```
#![allow(clippy::expect_used, reason = "a program that measures stops where it cannot")]

use std::net::SocketAddr;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use futures_util::FutureExt;
use rateguard::{Headers, KeyBy, Quota, RateGuard, RateLimitLayer, UserId, rate_limit};
use tower::{Service, layer::layer_fn};

/// Requests that are measured, after the same number that are not: by then, tables and logs have grown.
const REQUESTS: u32 = 10_000;
const MANY: Quota = Quota::sliding_window(100_000, Duration::from_secs(3600));

async fn bare() -> &'static str {
    "hello"
}

#[rate_limit(limit = 100_000, window = "1h", key = "ip")]
async fn address() -> &'static str {
    "hello"
}

#[rate_limit(limit = 100_000, window = "1h", key = "header:x-api-key")]
async fn header() -> &'static str {
    "hello"
}

#[rate_limit(limit = 100_000, window = "1h", key = "user")]
async fn user() -> &'static str {
    "hello"
}

#[rate_limit(limit = 50_000, window = "1m", key = "ip", name = "minute")]
#[rate_limit(limit = 100_000, window = "1h", key = "ip", name = "hour")]
async fn two() -> &'static str {
    "hello"
}

#[rate_limit(limit = 1, window = "1h", key = "ip")]
async fn denied() -> &'static str {
    "hello"
}

fn layer() -> RateLimitLayer {
    RateLimitLayer::new(RateGuard::memory())
}

fn main() {
    let app = || Router::new().route("/", get(bare));
    let rows = [
        ("bare", app()),
        ("a layer that does nothing", app().layer(layer_fn(|inner| inner))),
        ("our layer, no limit", app().layer(layer())),
        ("our layer, limit by address", app().layer(layer().limit("all", MANY, KeyBy::Ip))),
        ("attribute, by address", Router::new().route("/", get(address)).layer(layer())),
        ("attribute, by header", Router::new().route("/", get(header)).layer(layer())),
        ("attribute, by user", Router::new().route("/", get(user)).layer(layer())),
        ("two attributes, by address", Router::new().route("/", get(two)).layer(layer())),
        ("layer's limit and attribute", {
            Router::new().route("/", get(address)).layer(layer().limit("all", MANY, KeyBy::Ip))
        }),
        ("attribute, no headers", Router::new().route("/", get(address)).layer(layer().headers(Headers::NONE))),
        ("attribute, IETF headers", Router::new().route("/", get(address)).layer(layer().headers(Headers::IETF))),
        ("attribute, denied", Router::new().route("/", get(denied)).layer(layer())),
        ("our layer, denied", {
            app().layer(layer().limit("all", Quota::sliding_window(1, Duration::from_secs(3600)), KeyBy::Ip))
        }),
    ];

    println!("Allocations per request to an axum app and its answer, without a server, over {REQUESTS} requests:\n");
    println!("| app | status | allocations | more than bare | bytes | more than bare |\n|---|---|---:|---:|---:|---:|");
    let mut floor = None;
    for (name, app) in rows {
        let (status, counted) = requests(app);
        let each = |count: u64| each(count);
        let floor = floor.get_or_insert(counted);
        println!(
            "| {name} | {} | {:.2} | {:+.2} | {:.0} | {:+.0} |",
            status.as_u16(),
            each(counted.count_total),
            each(counted.count_total) - each(floor.count_total),
            each(counted.bytes_total),
            each(counted.bytes_total) - each(floor.bytes_total),
        );
    }
}

fn requests(app: Router) -> (StatusCode, AllocationInfo) {
    // As `into_make_service` does for `axum::serve`. Without it, each request would build its route again.
    let mut app: Router = app.with_state(());
    let mut status = StatusCode::OK;
    let mut all = |requests: Vec<Request<Body>>| {
        for request in requests {
            status = Service::call(&mut app, request)
                .now_or_never()
                .expect("nothing to wait for")
                .expect("an answer")
                .status();
        }
    };
    let made = || (0..REQUESTS).map(|_| request()).collect();
    all(made());
    let requests = made();
    let counted = measure(|| all(requests));
    (status, counted)
}

/// A request as it comes from the server. It is made before the measurement.
fn request() -> Request<Body> {
    let mut request =
        Request::builder().uri("/").header("x-api-key", "key-00000001").body(Body::empty()).expect("a request");
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
    request.extensions_mut().insert(UserId::new(7));
    request
}

fn each(count: u64) -> f64 {
    let thousandths = count * 1000 / u64::from(REQUESTS);
    f64::from(u32::try_from(thousandths).expect("a small number")) / 1000.0
}
