//! The headers that tell clients about their quota, in each of their forms, read by a parser that is not ours.

mod choices;
mod draft;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::{HeaderMap, Request};
use axum::response::IntoResponse;
use axum::routing::get;
use rateguard::{
    Headers, HttpLimit, KeyBy, ManualClock, OnError, Policy, Quota, RateGuard, RateLimitLayer, rate_limit,
};
use rateguard_tests::{Answer, App, RedisServer, connected, request};
use sfv::{BareItem, List, ListEntry, Parser};
use tower_http::cors::{Any, CorsLayer};

const MINUTE: Duration = Duration::from_secs(60);

#[rate_limit(limit = 100, window = 60, name = "burst")]
#[rate_limit(limit = 1000, window = "1d", name = "daily")]
async fn stacked() {}

#[rate_limit(limit = 2, window = 60, name = "two")]
async fn two() {}

fn limiter(headers: Headers) -> (RateGuard, ManualClock) {
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().memory().clock(clock.clone()).headers(headers).build().unwrap();
    (limiter, clock)
}

fn routes() -> Router {
    Router::new().route("/stacked", get(stacked)).route("/two", get(two)).route("/free", get(|| async {}))
}

/// A header that must not be there twice.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().unwrap().to_owned();
    assert!(values.next().is_none(), "{name} is doubled");
    Some(value)
}

/// A list of structured fields: each member's string, and its integers by name.
fn list(answer: &Answer, name: &str) -> Vec<(String, Vec<(String, i64)>)> {
    let text = header(&answer.headers, name).unwrap_or_else(|| panic!("no {name}: {:?}", answer.headers));
    let list: List = Parser::new(&text).parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    list.into_iter()
        .map(|member| {
            let ListEntry::Item(item) = member else { panic!("{text}: an inner list") };
            let BareItem::String(member) = item.bare_item else { panic!("{text}: no String") };
            let parameters = item.params.into_iter().map(|(key, value)| match value {
                BareItem::Integer(value) => (key.to_string(), i64::from(value)),
                other => panic!("{text}: {key} is {other:?}"),
            });
            (String::from(member), parameters.collect())
        })
        .collect()
}

fn member(name: &str, parameters: &[(&str, i64)]) -> (String, Vec<(String, i64)>) {
    (name.to_owned(), parameters.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect())
}

fn has_x(answer: &Answer) -> bool {
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
        .iter()
        .all(|name| header(&answer.headers, name).is_some())
}

fn has_ietf(answer: &Answer) -> bool {
    ["ratelimit-policy", "ratelimit"].iter().all(|name| header(&answer.headers, name).is_some())
}

/// What one limit of a layer is told as.
async fn told(quota: Quota, requests: usize) -> (Vec<(String, i64)>, Vec<(String, i64)>, Answer) {
    let (limiter, _clock) = limiter(Headers::IETF);
    let layer = RateLimitLayer::new(limiter).limit("only", quota, KeyBy::Global);
    let app = App::new(Router::new()).map(|_| routes().layer(layer));
    let mut answer = app.get("/free").await;
    for _ in 1..requests {
        answer = app.get("/free").await;
    }
    let (policies, quotas) = (list(&answer, "ratelimit-policy"), list(&answer, "ratelimit"));
    assert_eq!((policies.len(), quotas.len()), (1, 1));
    (policies[0].1.clone(), quotas[0].1.clone(), answer)
}

fn numbers(parameters: &[(&str, i64)]) -> Vec<(String, i64)> {
    member("", parameters).1
}
