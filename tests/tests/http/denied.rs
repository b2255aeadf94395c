//! Programs that answer for denials themselves.

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

#[tokio::test]
async fn a_limiters_answer_is_that_of_its_attributes_also_of_those_that_wait_for_arguments() {
    attributes_are_answered_for(RateGuard::builder(), None).await;
}

#[tokio::test]
async fn the_same_with_counts_in_redis() {
    let server = RedisServer::start();
    attributes_are_answered_for(RateGuard::builder(), Some(&server)).await;
}

#[tokio::test]
async fn a_layers_limits_are_answered_for_and_the_kind_is_what_was_counted() {
    let server = RedisServer::start();
    let limiters = [
        RateGuard::builder().on_denied(tell).build().unwrap(),
        connected(RateGuard::builder().on_denied(tell), &server).await,
    ];
    for limiter in limiters {
        let one = Quota::sliding_window(1, MINUTE);
        let tenant = Key::new("tenant", "acme");
        for (name, by, kind) in [
            ("a", KeyBy::Ip, "ip"),
            ("b", KeyBy::User, "user"),
            ("c", KeyBy::Global, "global"),
            ("d", KeyBy::header("x-api-key"), "header.x-api-key"),
            ("e", KeyBy::cookie("session"), "ip"),
            ("f", KeyBy::path("user"), "path.user"),
            ("g", KeyBy::from_fn(move |_| Some(tenant.clone())), "tenant"),
        ] {
            let layer = RateLimitLayer::new(limiter.clone())
                .limit("wide", Quota::sliding_window(100, MINUTE), KeyBy::Global)
                .limit(name, one, by);
            let app =
                App::new(Router::new()).map(|_| Router::new().route("/x/{user}", get(|| async {})).route_layer(layer));
            let answer = second(&app, "/x/bob").await;
            let told = told(&answer);
            assert_eq!((&told["policy"], &told["kind"]), (&name.into(), &kind.into()));
            assert_eq!(told["denying"], serde_json::json!([name]));
            assert_eq!(told["user"], "alice");
            assert_eq!(answer.number("x-ratelimit-limit"), Some(1));
        }
    }
}

#[tokio::test]
async fn the_nearest_layers_answer_goes_before_the_outer_ones_and_the_limiters() {
    let say = |word: &'static str| move |_: &Denied| (StatusCode::TOO_MANY_REQUESTS, word);
    let limiter = RateGuard::builder().on_denied(say("limiter")).build().unwrap();
    let layer = || RateLimitLayer::new(limiter.clone());
    let said = async |routes: Router| {
        let app = App::new(Router::new()).map(|_| routes);
        assert_eq!(app.get("/ip").await.status, 200);
        let early = app.get("/ip").await.body;
        assert_eq!(app.get("/deferred/x").await.status, 200);
        assert_eq!(app.get("/deferred/x").await.body, early);
        limiter.reset(&Policy::new("by-ip", Quota::sliding_window(1, MINUTE)), &Key::ip([192, 0, 2, 1])).await.unwrap();
        let deferred = Key::user("x");
        limiter.reset(&Policy::new("deferred", Quota::sliding_window(1, MINUTE)), &deferred).await.unwrap();
        early
    };
    assert_eq!(said(routes().layer(layer())).await, "limiter");
    assert_eq!(said(routes().layer(layer().on_denied(say("layer")))).await, "layer");
    assert_eq!(said(routes().layer(layer()).layer(layer().on_denied(say("outer")))).await, "outer");
    let both = routes().layer(layer().on_denied(say("inner"))).layer(layer().on_denied(say("outer")));
    assert_eq!(said(both).await, "inner");
}

#[tokio::test]
async fn what_the_closure_leaves_out_is_added_and_what_it_says_stays() {
    let silent = RateGuard::builder().on_denied(|_: &Denied| Html("<h1>Slow down</h1>")).build().unwrap();
    let app = App::with(silent, routes());
    app.get("/ip").await;
    let answer = app.get("/ip").await;
    // A denial in gRPC is a 200, so the status is the closure's.
    assert_eq!((answer.status, answer.body.as_str()), (200, "<h1>Slow down</h1>"));
    assert_eq!(answer.number("retry-after"), Some(60));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.number("x-ratelimit-limit"), Some(1));

    let own = [(header::RETRY_AFTER, "7"), (header::CACHE_CONTROL, "private")];
    let outspoken =
        RateGuard::builder().on_denied(move |_: &Denied| (StatusCode::FORBIDDEN, own.clone())).build().unwrap();
    let app = App::with(outspoken, routes());
    app.get("/deferred/x").await;
    let answer = app.get("/deferred/x").await;
    assert_eq!((answer.status, answer.number("retry-after")), (403, Some(7)));
    assert_eq!(answer.headers.get_all("retry-after").iter().count(), 1);
    assert_eq!(answer.headers["cache-control"], "private");
}

#[tokio::test]
async fn the_default_response_is_there_to_build_upon() {
    let limiter = RateGuard::builder()
        .on_denied(|denied: &Denied| {
            let mut response = denied.default_response();
            response.headers_mut().insert("x-policy", HeaderValue::from_str(denied.policy()).unwrap());
            response
        })
        .build()
        .unwrap();
    let (app, plain) = (App::with(limiter, routes()), App::new(routes()));
    for app in [&app, &plain] {
        app.get("/ip").await;
    }
    let (answer, plain) = (app.get("/ip").await, plain.get("/ip").await);
    assert_eq!(answer.headers["x-policy"], "by-ip");
    assert_eq!((answer.status, &answer.body), (plain.status, &plain.body));
    for name in plain.headers.keys().filter(|name| *name != header::RETRY_AFTER) {
        assert_eq!(answer.headers.get(name), plain.headers.get(name), "{name}");
    }
}

#[tokio::test]
async fn a_denial_that_never_ends_and_one_for_want_of_redis_are_told_as_what_they_are() {
    let app = App::with(RateGuard::builder().on_denied(tell).build().unwrap(), routes());
    let answer = app.get("/costly/11").await;
    let too_large = told(&answer);
    assert_eq!((&too_large["retry"], &too_large["status"]), (&serde_json::Value::Null, &429.into()));
    assert!(too_large["words"].as_str().unwrap().contains("never admitted"));
    assert_eq!(answer.number("retry-after"), None);

    let mut server = RedisServer::start();
    let builder = RateGuard::builder().on_error(OnError::Closed).on_denied(tell);
    let app = App::with(connected(builder, &server).await, routes());
    server.kill();
    for path in ["/ip", "/deferred/x"] {
        let answer = app.get(path).await;
        let closed = told(&answer);
        assert_eq!((&closed["retry"], &closed["status"]), (&1.0.into(), &503.into()));
        assert_eq!(closed["words"], "Requests cannot be counted at the moment");
        assert_eq!(answer.number("retry-after"), Some(1));
        assert_eq!(answer.number("x-ratelimit-limit"), None);
    }
}

#[tokio::test]
async fn only_denials_are_asked_about_and_nothing_of_the_request_is_shown_in_a_log() {
    let calls = Arc::new(AtomicUsize::new(0));
    let shown = Arc::new(Mutex::new(String::new()));
    let (count, show) = (Arc::clone(&calls), Arc::clone(&shown));
    let limiter = RateGuard::builder()
        .on_denied(move |denied: &Denied| {
            count.fetch_add(1, Ordering::Relaxed);
            *show.lock().unwrap() = format!("{denied:?}");
            denied.default_response()
        })
        .build()
        .unwrap();
    let app = App::with(limiter, routes());
    for _ in 0..3 {
        app.get("/free").await;
    }
    app.get_with("/key", "x-api-key", "hunter2").await;
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(app.get_with("/key", "x-api-key", "hunter2").await.status, 429);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let shown = shown.lock().unwrap().clone();
    assert!(shown.contains("by-key") && !shown.contains("hunter2"), "{shown}");
    // A setup error is not a denial.
    let unset = App::new(Router::new()).map(|_| routes());
    assert_eq!(unset.get("/ip").await.status, 500);
}

#[tokio::test]
async fn what_a_deferred_denial_gives_back_is_given_back_too() {
    #[rate_limit(limit = 5, window = 60, name = "early")]
    #[rate_limit(limit = 1, window = 60, name = "waits", key = user)]
    async fn both(Path(user): Path<String>) {
        let _ = user;
    }
    let limiter = RateGuard::builder().on_denied(tell).build().unwrap();
    let app = App::with(limiter.clone(), Router::new().route("/{user}", get(both)));
    for status in [200, 418, 418, 418] {
        assert_eq!(app.get("/bob").await.status, status);
    }
    let early = Policy::new("early", Quota::sliding_window(5, MINUTE));
    let left = limiter.peek(&early, &Key::ip([192, 0, 2, 1])).await.unwrap();
    assert_eq!(left.remaining(), 4);
}

#[tokio::test]
async fn a_denied_request_runs_the_closure_over_its_head_once() {
    let server = RedisServer::start();
    let builder = || RateGuard::builder().on_denied(tell).deny_cache(Duration::ZERO);
    for limiter in [builder().build().unwrap(), connected(builder(), &server).await] {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let by = KeyBy::from_fn(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Some(Key::new("tenant", "acme"))
        });
        let layer = RateLimitLayer::new(limiter).limit("tenant", Quota::sliding_window(1, MINUTE), by);
        let app = App::new(Router::new()).map(|_| routes().layer(layer));
        assert_eq!(app.get("/free").await.status, 200);
        for _ in 0..2 {
            assert_eq!(told(&app.get("/free").await)["kind"], "tenant");
        }
        assert_eq!(runs.load(Ordering::Relaxed), 3);
    }
}
