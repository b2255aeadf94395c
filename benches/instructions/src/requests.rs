//! Requests to an axum app, and their answers, in memory and without a server.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use rateguard::{Headers, KeyBy, Quota, RateLimitLayer, rate_limit};
use tower_service::Service;

use crate::checks::limiter;
use crate::{Operation, Steps, now};

const QUOTA: Quota = Quota::sliding_window(100, Duration::from_secs(60));
/// The hundred are used up before anything is counted.
const SPENT: Quota = Quota::sliding_window(100, Duration::from_secs(365 * 86_400));
const SECOND: Duration = Duration::from_secs(1);

async fn hello() -> &'static str {
    "hello"
}

#[rate_limit(limit = 100, window = 60, key = "ip")]
async fn limited() -> &'static str {
    "hello"
}

#[rate_limit(limit = 100, window = "365d", key = "ip")]
async fn spent() -> &'static str {
    "hello"
}

pub(crate) fn operations() -> Vec<Operation> {
    let layer = || {
        let (limiter, clock) = limiter();
        (RateLimitLayer::new(limiter), clock)
    };
    let app = |name, handler, (layer, clock): (RateLimitLayer, Steps), status| {
        request(name, Router::new().route("/", handler).layer(layer), clock, status)
    };
    let with = |limit: fn(RateLimitLayer) -> RateLimitLayer| {
        let (unlimited, clock) = layer();
        (limit(unlimited), clock)
    };
    let by_address = |layer: RateLimitLayer| layer.limit("all", QUOTA, KeyBy::Ip);
    let by_header = |layer: RateLimitLayer| layer.limit("all", QUOTA, KeyBy::header("x-api-key"));
    let denies = |layer: RateLimitLayer| layer.limit("all", SPENT, KeyBy::Ip);
    let ok = StatusCode::OK;
    vec![
        request("request: bare router", Router::new().route("/", get(hello)), Steps::default(), ok),
        app("request: layer without a limit", get(hello), layer(), ok),
        app(
            "request: layer by address, no headers",
            get(hello),
            with(|layer| layer.limit("all", QUOTA, KeyBy::Ip).headers(Headers::NONE)),
            ok,
        ),
        app("request: layer by address", get(hello), with(by_address), ok),
        app(
            "request: layer by address, IETF headers",
            get(hello),
            with(|layer| layer.limit("all", QUOTA, KeyBy::Ip).headers(Headers::IETF)),
            ok,
        ),
        app("request: layer by header", get(hello), with(by_header), ok),
        app("request: attribute by address", get(limited), layer(), ok),
        app("request: layer and attribute by address", get(limited), with(by_address), ok),
        app("request: denied by the layer", get(hello), with(denies), StatusCode::TOO_MANY_REQUESTS),
        app("request: denied by the attribute", get(spent), layer(), StatusCode::TOO_MANY_REQUESTS),
    ]
}

fn request(name: &'static str, app: Router, clock: Steps, status: StatusCode) -> Operation {
    // As `into_make_service` does for `axum::serve`. Without it, each request would build its route again.
    let app: Router = app.with_state(());
    Operation::new(name, move |times| {
        let (mut app, clock) = (app.clone(), clock.clone());
        let requests: Vec<Request<Body>> = (0..times).map(|_| made()).collect();
        move || {
            let mut last = None;
            for request in requests {
                clock.advance(SECOND);
                let Ok(response) = now(Service::call(&mut app, request));
                last = Some(response.status());
            }
            assert_eq!(last, Some(status), "{name}");
        }
    })
}

/// A request as it comes from the server.
fn made() -> Request<Body> {
    let request = Request::builder()
        .uri("/")
        .header("host", "localhost")
        .header("accept", "*/*")
        .header("x-api-key", "0123456789abcdef0123456789abcdef");
    let mut request = request.body(Body::empty()).expect("a request");
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
    request
}
