//! Programs that answer for denials themselves.

mod what_it_says;
mod whose_answer;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Path;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rateguard::{Denied, Key, KeyBy, OnError, Policy, Quota, RateGuard, RateLimitLayer, UserId, rate_limit};
use rateguard_tests::{Answer, App, RedisServer, connected, request};

const MINUTE: Duration = Duration::from_secs(60);

#[rate_limit(limit = 1, window = 60, name = "by-ip")]
async fn by_ip() {}

#[rate_limit(limit = 1, window = 60, name = "by-key", key = "header:x-api-key")]
async fn by_header() {}

#[rate_limit(limit = 1, window = 60, name = "deferred", key = user)]
async fn deferred(Path(user): Path<String>) {
    let _ = user;
}

#[rate_limit(limit = 10, window = 60, name = "costly", cost = units)]
async fn costly(Path(units): Path<u32>) {
    let _ = units;
}

#[rate_limit(limit = 1, window = 1, name = "burst", key = "global")]
#[rate_limit(limit = 1, window = "1h", name = "hour", key = ("ip", "header:x-api-key"))]
async fn stacked() {}

fn routes() -> Router {
    Router::new()
        .route("/ip", get(by_ip))
        .route("/key", get(by_header))
        .route("/deferred/{user}", get(deferred))
        .route("/costly/{units}", get(costly))
        .route("/stacked", get(stacked))
        .route("/free", get(|| async {}))
}

/// Says all that it is told, and nothing of its own in the headers.
fn tell(denied: &Denied) -> Response {
    let told = serde_json::json!({
        "policy": denied.policy(),
        "kind": denied.key_kind(),
        "limit": denied.limit(),
        "window": denied.window().as_secs(),
        "retry": denied.retry_after().map(|wait| wait.as_secs_f64().ceil()),
        "status": denied.status().as_u16(),
        "denying": denied.decisions().iter().map(rateguard::Decision::policy).collect::<Vec<_>>(),
        "method": denied.head().method.as_str(),
        "path": denied.head().uri.path(),
        "says": denied.head().headers.get("x-says").map(|value| value.to_str().unwrap()),
        "user": denied.head().extensions.get::<UserId>().map(UserId::as_str),
        "words": denied.to_string(),
    });
    (StatusCode::IM_A_TEAPOT, Json(told)).into_response()
}

fn told(answer: &Answer) -> serde_json::Value {
    assert_eq!(answer.status, 418, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// The second of two requests, with a header and a user that a layer further out found.
async fn second(app: &App, path: &str) -> Answer {
    let request = || {
        let mut request: Request<_> = request(path);
        request.headers_mut().insert("x-says", HeaderValue::from_static("hello"));
        request.headers_mut().insert("x-api-key", HeaderValue::from_static("s3cret"));
        request.extensions_mut().insert(UserId::new("alice"));
        request
    };
    assert_eq!(app.send(request()).await.status, 200);
    app.send(request()).await
}

async fn attributes_are_answered_for(builder: rateguard::RateGuardBuilder, server: Option<&RedisServer>) {
    let builder = builder.on_denied(tell);
    let limiter = match server {
        Some(server) => connected(builder, server).await,
        None => builder.memory().build().unwrap(),
    };
    let app = App::with(limiter, routes());
    for (path, policy, kind, retry) in [
        ("/ip", "by-ip", "ip", 60.0),
        ("/key", "by-key", "header.x-api-key", 60.0),
        ("/deferred/bob", "deferred", "user", 60.0),
        ("/costly/6", "costly", "ip", 60.0),
        ("/stacked", "hour", "composite", 3600.0),
    ] {
        let answer = second(&app, path).await;
        let told = told(&answer);
        assert_eq!((&told["policy"], &told["kind"]), (&policy.into(), &kind.into()), "{path}");
        assert_eq!((&told["retry"], &told["status"]), (&retry.into(), &429.into()), "{path}");
        assert_eq!((&told["method"], &told["path"]), (&"GET".into(), &path.into()));
        assert_eq!((&told["says"], &told["user"]), (&"hello".into(), &"alice".into()), "{path}");
        assert_eq!(answer.number("x-ratelimit-remaining"), Some(if path == "/costly/6" { 4 } else { 0 }), "{path}");
        assert!(!answer.body.contains("s3cret"));
    }
    let denied = told(&app.get("/stacked").await);
    assert_eq!(denied["denying"], serde_json::json!(["burst"]), "another identity: the hour is its own");
    assert_eq!((&denied["kind"], &denied["policy"]), (&"global".into(), &"burst".into()));
}
