//! Requests that say they are calls, to handlers that are not. A denial never looks like a success to whoever passes on the
//! status, and nothing is counted differently.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderName, Method, Request};
use axum::routing::any;
use rateguard::{Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, RateLimited, RequestLimiter, rate_limit};
use rateguard_tests::{Answer, App};

#[rate_limit(limit = 1, window = 60, key = "global")]
async fn head() -> &'static str {
    "allowed"
}

#[rate_limit(limit = 1, window = 60, key = name)]
async fn argument(Path(name): Path<String>) -> String {
    name
}

async fn inside(limiter: RequestLimiter) -> Result<&'static str, RateLimited> {
    const INSIDE: Policy = Policy::new("inside", Quota::per_minute(1));
    limiter.check(&INSIDE, &Key::global()).await?;
    Ok("allowed")
}

#[rate_limit(limit = 1, window = 60, key = "path:missing")]
async fn not_set_up() {}

fn app() -> App {
    let layered = Router::new()
        .route("/layer", any(|| async { "allowed" }))
        .layer(RateLimitLayer::new(RateGuard::memory()).limit("layer", Quota::per_minute(1), KeyBy::Global));
    let routes = Router::new()
        .route("/head", any(head))
        .route("/argument/{name}", any(argument))
        .route("/inside", any(inside))
        .route("/not-set-up", any(not_set_up));
    App::new(routes.merge(layered))
}

async fn send(app: &App, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    app.send(request).await
}

const GRPC: (&str, &str) = ("content-type", "application/grpc+proto");
const TE: (&str, &str) = ("te", "trailers");
const PATHS: [&str; 4] = ["/layer", "/head", "/argument/a", "/inside"];

#[tokio::test]
async fn the_content_type_alone_leaves_the_http_status() {
    let app = app();
    for path in PATHS {
        assert_eq!(send(&app, Method::POST, path, &[GRPC]).await.status, 200);
        let denied = send(&app, Method::POST, path, &[GRPC]).await;
        assert_eq!((denied.status, denied.body.as_str()), (429, ""), "{path}");
        assert_eq!(denied.headers["grpc-status"], "8");
        assert_eq!(denied.headers["content-type"], "application/grpc+proto");
    }
    let wrong = send(&app, Method::POST, "/not-set-up", &[GRPC]).await;
    assert_eq!((wrong.status, wrong.headers["grpc-status"].to_str().unwrap()), (500, "13"));
}

#[tokio::test]
async fn a_call_gets_200_and_no_cache_may_keep_it() {
    let app = app();
    for path in PATHS {
        assert!(!send(&app, Method::POST, path, &[GRPC, TE]).await.body.is_empty(), "{path}");
        let denied = send(&app, Method::POST, path, &[GRPC, TE]).await;
        assert_eq!((denied.status, denied.body.as_str()), (200, ""), "{path}");
        assert_eq!(denied.headers["grpc-status"], "8");
        assert_eq!(denied.headers["cache-control"], "no-store");
        assert_eq!(denied.number("x-ratelimit-remaining"), Some(0));
    }
    let wrong = send(&app, Method::POST, "/not-set-up", &[GRPC, TE]).await;
    assert_eq!((wrong.status, wrong.headers["grpc-status"].to_str().unwrap()), (200, "13"));
    assert_eq!(wrong.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn other_methods_are_never_calls() {
    let app = app();
    for path in PATHS {
        for method in [Method::GET, Method::PUT] {
            send(&app, method.clone(), path, &[GRPC, TE]).await;
            let denied = send(&app, method, path, &[GRPC, TE]).await;
            assert_eq!(denied.status, 429, "{path}");
            assert!(denied.headers.get("grpc-status").is_none());
            assert_eq!(denied.headers["content-type"], "application/problem+json");
        }
    }
}

#[tokio::test]
async fn a_denial_with_status_200_spends_nothing_and_is_not_taken_for_a_success() {
    let limiter = RateGuard::memory();
    // Counts failures: what succeeds is given back.
    let failures = rateguard::HttpLimit::new("failures", Quota::per_minute(5), KeyBy::Global)
        .refund_if(|response| response.status().is_success());
    let inner = RateLimitLayer::new(limiter.clone()).limit("inner", Quota::per_minute(1), KeyBy::Global);
    let routes = Router::new().route("/", any(|| async { axum::http::StatusCode::UNAUTHORIZED })).layer(inner);
    let app =
        App::with(limiter.clone(), routes).map(|app| app.layer(RateLimitLayer::new(limiter.clone()).rule(failures)));
    let failed = send(&app, Method::POST, "/", &[GRPC, TE]).await;
    assert_eq!((failed.status, failed.number("x-ratelimit-remaining")), (401, Some(0)));
    for _ in 0..3 {
        let denied = send(&app, Method::POST, "/", &[GRPC, TE]).await;
        assert_eq!((denied.status, denied.headers["grpc-status"].to_str().unwrap()), (200, "8"));
    }
    let policy = Policy::new("failures", Quota::per_minute(5));
    let failures = limiter.peek(&policy, &Key::global()).await.unwrap();
    assert_eq!(failures.remaining(), 4, "one failed, three were denied and cost nothing");
}

/// gRPC-Web, translated by a layer outside of ours.
#[tokio::test]
async fn a_browsers_call_is_told_in_the_headers() {
    use tonic_web::GrpcWebLayer;
    let limiter = RateGuard::memory();
    let routes = tonic::service::Routes::new(super::service::service(&limiter)).into_axum_router();
    let app = routes.layer(super::service::two(&limiter, KeyBy::Ip)).layer(GrpcWebLayer::new());
    let headers = [("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
    for expected in [None, None, Some("8")] {
        let mut request = Request::post("/grpc.health.v1.Health/Check").body(Body::from(vec![0; 5])).unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request.extensions_mut().insert(axum::extract::ConnectInfo(std::net::SocketAddr::from(([192, 0, 2, 1], 1))));
        let response = tower::ServiceExt::oneshot(app.clone(), request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc-web+proto");
        assert_eq!(response.headers().get("grpc-status").map(|status| status.to_str().unwrap()), expected);
        assert!(response.headers().contains_key("x-ratelimit-remaining"));
    }
}
