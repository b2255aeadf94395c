//! Your own responses to denied requests: JSON for an API, a page for browsers. Calls of gRPC keep the library's answer.
//!
//! ```text
//! cargo run --example custom_response
//! for i in 1 2 3; do curl -i http://127.0.0.1:3000/; done                        # the third is denied: JSON
//! curl -i -H 'Accept: text/html' http://127.0.0.1:3000/                          # a page
//! curl -i -X POST -H 'Content-Type: application/grpc' http://127.0.0.1:3000/     # grpc-status: 8, resource exhausted
//! ```

use std::error::Error;
use std::net::SocketAddr;

use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use rateguard::{ConfigError, Denied, RateGuard, RateGuardBuilder, RateLimitLayer, rate_limit};
use serde::Serialize;

#[rate_limit(limit = 2, window = 60, name = "greetings")]
async fn greet() -> &'static str {
    "hello\n"
}

/// Runs only for denied requests. `Retry-After`, the quota headers and `Cache-Control: no-store` are added to the response
/// that it returns.
fn slow_down(denied: &Denied) -> Response {
    if denied.is_grpc() {
        denied.default_response()
    } else if mentions(denied.head(), header::ACCEPT, "text/html") {
        for_browsers(denied)
    } else {
        for_programs(denied)
    }
}

/// Whether a header mentions a media type. This is enough to tell browsers from programs. It ignores `q` weights.
fn mentions(head: &Parts, name: HeaderName, media_type: &str) -> bool {
    head.headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(media_type))
}

/// Seconds to wait. Rounded up: a client that comes too early is denied again.
fn seconds(denied: &Denied) -> Option<u128> {
    denied.retry_after().map(|wait| wait.as_micros().div_ceil(1_000_000))
}

fn for_programs(denied: &Denied) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        error: &'static str,
        policy: &'a str,
        message: String,
        retry_after_seconds: Option<u128>,
    }
    let error = if denied.status() == StatusCode::TOO_MANY_REQUESTS { "too_many_requests" } else { "try_later" };
    let body =
        Body { error, policy: denied.policy(), message: denied.to_string(), retry_after_seconds: seconds(denied) };
    (denied.status(), Json(body)).into_response()
}

fn for_browsers(denied: &Denied) -> Response {
    let wait = seconds(denied).map_or_else(String::new, |wait| format!(" Please come back in {wait} seconds."));
    // Nothing on this page comes from the client. Escape any value that does.
    let page =
        format!("<!doctype html><title>Slow down</title><h1>Slow down</h1><p>That was a little much.{wait}</p>\n");
    (denied.status(), Html(page)).into_response()
}

fn app(limiter: RateGuardBuilder) -> Result<Router, ConfigError> {
    // For all denials of this limiter. `RateLimitLayer::on_denied` is the same for the routes under one layer.
    let limiter = limiter.on_denied(slow_down).build()?;
    Ok(Router::new().route("/", any(greet)).layer(RateLimitLayer::new(limiter)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(RateGuard::builder().store_from_env())?;
    let listener = rateguard_examples::listen(&["for i in 1 2 3; do curl -i URL/; done"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use axum::http::Method;
    use rateguard::ManualClock;
    use tower::ServiceExt;

    use super::*;

    async fn denied(method: Method, name: HeaderName, value: &str) -> (Response<()>, String) {
        let clock = ManualClock::new();
        let app = app(RateGuard::builder().clock(clock.clone())).unwrap();
        let ask = async || {
            let client = rateguard_examples::client([203, 0, 113, 7]);
            let request = Request::builder().method(&method).header(&name, value).extension(client);
            let request = request.body(Body::empty()).unwrap();
            app.clone().oneshot(request).await.unwrap()
        };
        for _ in 0..2 {
            assert_eq!(ask().await.status(), 200);
            clock.advance(Duration::from_millis(500));
        }
        let (head, body) = ask().await.into_parts();
        let body = to_bytes(body, 10_000).await.unwrap();
        (Response::from_parts(head, ()), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn programs_get_json() {
        let (response, body) = denied(Method::GET, header::ACCEPT, "*/*").await;
        assert_eq!(
            (response.status(), &response.headers()["content-type"]),
            (StatusCode::TOO_MANY_REQUESTS, &"application/json".parse().unwrap())
        );
        assert_eq!(
            body,
            r#"{"error":"too_many_requests","policy":"greetings","message":"No more than 2 requests in 1 minute; try again in 59 s","retry_after_seconds":59}"#
        );
        for (name, value) in [("retry-after", "59"), ("x-ratelimit-remaining", "0"), ("cache-control", "no-store")] {
            assert_eq!(response.headers()[name], value);
        }
    }

    #[tokio::test]
    async fn browsers_get_a_page() {
        let (response, body) = denied(Method::GET, header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8").await;
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        assert!(body.contains("come back in 59 seconds"), "{body}");
    }

    #[tokio::test]
    async fn calls_of_grpc_get_resource_exhausted() {
        let (response, body) = denied(Method::POST, header::CONTENT_TYPE, "application/grpc+proto").await;
        // Without `te: trailers`, which every client of gRPC sends, the HTTP status is not 200.
        assert_eq!((response.status().as_u16(), body.as_str()), (429, ""));
        let told = |name| response.headers()[name].to_str().unwrap();
        assert_eq!((told("content-type"), told("grpc-status")), ("application/grpc+proto", "8"));
        assert_eq!(told("grpc-message"), "No more than 2 requests in 1 minute; try again in 59 s");
        assert_eq!(told("grpc-retry-pushback-ms"), "59000");
    }
}
