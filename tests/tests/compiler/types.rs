//! What public types promise: they can be sent and shared between threads and moved while they are borrowed by nobody, and
//! handles are cheap to clone.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use rateguard::{
    Algorithm, Check, ClientIp, Clock, ConfigError, Decision, Decisions, Denied, HandlerLimits, Headers, HttpLimit,
    Key, KeyBy, KeyDisplay, Limited, ManualClock, OnError, ParseQuotaError, Peer, Policy, PolicyInfo, PolicyNameError,
    Quota, QuotaError, RateGuard, RateGuardBuilder, RateLimitFuture, RateLimitLayer, RateLimitService, RateLimited,
    RequestLimiter, SetupError, StoreError, StoreErrorKind, UnknownNameError, UserId,
};
use rateguard_tests::request;
use tower::{Layer, Service, ServiceExt};

/// Between threads and within any data structure.
fn shared<T: Send + Sync + Unpin>() {}
/// The same, without a borrow.
fn owned<T: Send + Sync + Unpin + 'static>() {}
/// The same, in several places at once.
fn cloned<T: Clone + Send + Sync + Unpin + 'static>() {}
/// Small and plain.
fn copied<T: Copy + Send + Sync + Unpin + 'static>() {}
/// What `?` turns into a box or any library's error.
fn error<T: std::error::Error + Send + Sync + Unpin + 'static>() {}
fn sent<T: Send>(_: &T) {}

macro_rules! each {
    ($($promise:ident: $($type:ty),+;)+) => {
        $($(let _: fn() = $promise::<$type>;)+)+
    };
}

#[test]
fn public_types_are_sent_shared_and_cloned_as_promised() {
    each! {
        cloned: RateGuard, RateLimitLayer, RateLimitService<()>, RequestLimiter, HttpLimit, KeyBy;
        cloned: Policy, PolicyInfo, Key, Decision, Decisions, ManualClock, UserId, RateLimited, SetupError;
        copied: Quota, Algorithm, OnError, Headers, Peer, StoreErrorKind, HandlerLimits, ClientIp;
        owned: RateGuardBuilder, Denied, Limited<std::convert::Infallible, u8>, Box<dyn Clock>;
        shared: Check<'_>, KeyDisplay<'_>;
        error: ConfigError, ParseQuotaError, PolicyNameError, QuotaError, StoreError, UnknownNameError, SetupError;
    }
}

#[tokio::test]
async fn what_is_awaited_can_be_spawned() {
    let (limiter, policy, key) = (RateGuard::memory(), Policy::new("p", Quota::per_minute(5)), Key::global());
    let decision = limiter.check(&policy, &key).await;
    sent(&limiter.check(&policy, &key));
    sent(&limiter.check_cost(&policy, &key, 1));
    sent(&limiter.check_all(&[Check::new(&policy, &key)]));
    sent(&limiter.peek(&policy, &key));
    sent(&limiter.reset(&policy, &key));
    sent(&limiter.refund(&policy, &key, 1));
    sent(&limiter.refund_decision(&decision));
    sent(&limiter.ready());
    sent(&limiter.close());
    let app = Router::new().route("/", get(|| async {})).layer(RateLimitLayer::new(limiter.clone()));
    sent(&app.oneshot(request("/")));
    let mut service: RateLimitService<Router> = RateLimitLayer::new(limiter).layer(Router::new());
    let answer: RateLimitFuture<Router, Body> = service.call(request("/"));
    sent(&answer);
}

#[test]
fn every_public_type_is_here() {
    let exports = include_str!("../../../rateguard/src/lib.rs").split("pub use ").skip(1);
    let names =
        exports.flat_map(|export| export.split(';').next().unwrap_or_default().split([',', '{', '}', ':', ' ']));
    let types = names.map(str::trim).filter(|name| name.starts_with(|first: char| first.is_ascii_uppercase()));
    // A trait for what is given to it.
    let types = types.filter(|name| *name != "ToKey");
    let here = include_str!("types.rs");
    let missing: Vec<&str> = types.filter(|name| here.matches(name).count() < 2).collect();
    assert_eq!(missing, [""; 0], "imported, and promised something");
}
