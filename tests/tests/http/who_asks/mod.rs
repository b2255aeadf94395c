//! Who asks decides how much: quotas by request on layers, exempt clients, the request's own limiter, the client's address, its
//! own usage. The attribute's forms are in `quotas_by_request`.

mod addresses;
mod limits;
mod own_checks;
mod plans;
mod setup;
mod told;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Extension, Path, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use rateguard::{
    Check, ClientIp, Decisions, Denied, Headers, HttpLimit, Key, KeyBy, OnError, Policy, Quota, RateGuard,
    RateLimitLayer, RateLimited, RequestLimiter, UserId, handlers, rate_limit, usage,
};
use rateguard_tests::{Answer, App, Log, RedisServer, connected, request};
use tracing::Level;

/// A limiter in memory, and one on Redis.
async fn limiters(server: &RedisServer) -> [RateGuard; 2] {
    [RateGuard::memory(), connected(RateGuard::builder(), server).await]
}

/// An app whose only layer is this one.
fn app(layer: RateLimitLayer, limiter: &RateGuard, routes: Router) -> App {
    App::with(limiter.clone(), Router::new()).map(|_| routes.layer(layer))
}

fn from(address: &str, path: &str) -> axum::http::Request<Body> {
    let mut request = request(path);
    let address: IpAddr = address.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 4711))));
    request
}

#[derive(Clone, Copy)]
struct Plan(Option<u32>);

/// The layer's limit by plan.
fn by_plan() -> HttpLimit {
    HttpLimit::new("plan", Quota::per_minute(1), KeyBy::User).quota_by(|head| {
        let Plan(limit) = head.extensions.get::<Plan>().copied()?;
        Some(Quota::sliding_window(limit?, Duration::from_secs(60)))
    })
}

async fn as_user(app: &App, user: &str, limit: Option<u32>) -> Answer {
    let mut request = request("/");
    request.extensions_mut().insert(UserId::new(user));
    request.extensions_mut().insert(Plan(limit));
    app.send(request).await
}

const INVITES: Policy = Policy::new("invites", Quota::per_hour(2));
const CLOSED: Policy = Policy::new("closed", Quota::per_hour(2)).on_error(OnError::Closed);

async fn invite(limiter: RequestLimiter, Path(address): Path<String>) -> Result<&'static str, RateLimited> {
    limiter.check(&INVITES, &Key::secret("address", &address)).await?;
    Ok("sent")
}
