//! Quotas that depend on who asks, policies that code shares with the attribute, exempt clients, and the keys by which a
//! support desk finds a count.

mod constant_quota;
mod exempt_clients;
mod keys_for_a_support_desk;
mod limit_of_the_request;
mod quota_of_the_request;
mod shared_policy;
mod words;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::routing::get;
use rateguard::{Headers, Key, ManualClock, Policy, PolicyInfo, Quota, RateGuard, UserId, rate_limit};
use rateguard_tests::{App, request};
use serde::Deserialize;

const MINUTE: Duration = Duration::from_secs(60);

/// Who asks, as the test's requests say it themselves.
#[derive(Clone, Deserialize)]
struct User {
    name: String,
    plan: Plan,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Plan {
    Blocked,
    Free,
    Pro,
    Internal,
}

impl Plan {
    const fn per_minute(self) -> u32 {
        match self {
            Plan::Blocked => 0,
            Plan::Free => 2,
            Plan::Pro => 5,
            Plan::Internal => 1000,
        }
    }

    fn quota(self) -> Option<Quota> {
        match self {
            Plan::Internal => None,
            Plan::Pro => Some(Quota::per_minute(5)),
            Plan::Free | Plan::Blocked => Some(Quota::per_minute(2)),
        }
    }
}

/// The plan in the query of the request.
fn plan(head: &Parts) -> Plan {
    match head.uri.query() {
        Some(query) if query.contains("pro") => Plan::Pro,
        Some(query) if query.contains("internal") => Plan::Internal,
        Some(query) if query.contains("blocked") => Plan::Blocked,
        _ => Plan::Free,
    }
}

/// What a policy allows to the client of the tests.
async fn peeked(app: &App, policy: &'static str, quota: Quota, key: &Key) -> u32 {
    app.limiter.peek(&Policy::new(policy, quota), key).await.unwrap().remaining()
}

fn client() -> Key {
    Key::ip([192, 0, 2, 1])
}

fn with_clock(routes: Router) -> (App, ManualClock) {
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().clock(clock.clone()).headers(Headers::X_RATE_LIMIT | Headers::IETF).build();
    (App::with(limiter.unwrap(), routes), clock)
}

/// A limit of 0 in shadow mode is not asked of the store, and the other limit keeps its own `refund_if`.
#[tokio::test]
async fn a_limit_of_0_in_shadow_mode_does_not_move_the_refunds_of_the_limits_beside_it() {
    #[rate_limit(limit = |_| 0, window = 60, name = "nothing", shadow = true, refund_if = |_| true)]
    #[rate_limit(limit = 2, window = 60, name = "kept")]
    async fn handler() {}
    let app = App::new(Router::new().route("/", get(handler)));
    assert_eq!(app.statuses(&["/", "/", "/"]).await, [200, 200, 429], "nothing is given back to the other");
}
