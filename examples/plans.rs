//! A quota that depends on the user's plan, in one line above the handler. A user who upgrades keeps what was counted.
//!
//! ```text
//! cargo run --example plans
//! curl -i -H 'authorization: Bearer token-of-free-fred' http://127.0.0.1:3000/report      # 2 per minute
//! curl -i -H 'authorization: Bearer token-of-paying-fred' http://127.0.0.1:3000/report    # after the upgrade: 5, 2 are used
//! curl -i -H 'authorization: Bearer token-of-paying-pia' http://127.0.0.1:3000/report     # 5 per minute
//! curl -i http://127.0.0.1:3000/report                                                    # 401, 3 per minute by address
//! curl -H 'authorization: Bearer token-of-free-fred' http://127.0.0.1:3000/usage          # the quota, without counting
//! ```
//!
//! With `REDIS_URL=redis://127.0.0.1`, and a second server on `PORT=3001`, both count together.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use rateguard::{Quota, RateGuard, RateLimitLayer, UserId, handlers, rate_limit};

#[derive(Clone)]
struct User {
    name: &'static str,
    plan: Plan,
}

#[derive(Clone, Copy)]
enum Plan {
    Free,
    Paid,
}

/// The user of a token, and the plan. A real program asks a session store here, or verifies a signature.
fn user_of(token: &str) -> Option<User> {
    match token {
        "token-of-free-fred" => Some(User { name: "fred", plan: Plan::Free }),
        "token-of-paying-fred" => Some(User { name: "fred", plan: Plan::Paid }),
        "token-of-paying-pia" => Some(User { name: "pia", plan: Plan::Paid }),
        _ => None,
    }
}

/// Finds the user and inserts two values: `UserId`, which `key = "user"` counts by, and `User`, the app's own type.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if let Some(user) = token.and_then(user_of) {
        request.extensions_mut().insert(UserId::new(user.name));
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

/// What the sender of a request may do.
fn quota(head: &Parts) -> Quota {
    match head.extensions.get::<User>().map(|user| user.plan) {
        Some(Plan::Paid) => Quota::per_minute(5),
        Some(Plan::Free) => Quota::per_minute(2),
        // Nobody has logged in: `key = "user"` counts the address.
        None => Quota::per_minute(3),
    }
}

/// Another handler with the same line shares the quota, because the name is the same.
#[rate_limit(quota = |req| quota(req), key = "user", name = "plan")]
async fn report(user: Option<Extension<User>>) -> Response {
    match user {
        Some(Extension(user)) => format!("a report for {}\n", user.name).into_response(),
        None => (StatusCode::UNAUTHORIZED, "who are you?\n").into_response(),
    }
}

fn app(limiter: RateGuard) -> Router {
    // So that `/usage` knows the handler's limit before its first request.
    limiter.register_handlers(handlers![report]);
    Router::new()
        .route("/report", get(report))
        .route("/usage", get(rateguard::usage))
        // Layers that are added later run earlier: the authentication comes first.
        .layer(RateLimitLayer::new(limiter))
        .layer(middleware::from_fn(authenticate))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = app(RateGuard::from_env()?);
    let listener =
        rateguard_examples::listen(&["curl -i -H 'authorization: Bearer token-of-free-fred' URL/report"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::connect_info::MockConnectInfo;
    use tower::ServiceExt;

    use super::*;

    async fn get(app: &Router, path: &str, token: Option<&str>) -> Response {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let client = MockConnectInfo(SocketAddr::from(([203, 0, 113, 7], 50_000)));
        app.clone().layer(client).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn ask(app: &Router, token: Option<&str>) -> u16 {
        get(app, "/report", token).await.status().as_u16()
    }

    #[tokio::test]
    async fn users_have_the_quota_of_their_plan_and_others_are_counted_by_address() {
        let app = app(RateGuard::memory());
        for status in [200, 200, 429] {
            assert_eq!(ask(&app, Some("token-of-free-fred")).await, status);
        }
        for status in [200, 200, 200, 200, 200, 429] {
            assert_eq!(ask(&app, Some("token-of-paying-pia")).await, status);
        }
        for status in [401, 401, 401, 429] {
            assert_eq!(ask(&app, None).await, status);
        }
    }

    #[tokio::test]
    async fn an_upgrade_applies_at_once_and_keeps_what_was_counted() {
        let app = app(RateGuard::memory());
        for status in [200, 200, 429] {
            assert_eq!(ask(&app, Some("token-of-free-fred")).await, status);
        }
        for status in [200, 200, 200, 429] {
            assert_eq!(ask(&app, Some("token-of-paying-fred")).await, status, "two of the five are used");
        }
    }

    #[tokio::test]
    async fn users_see_their_quota_without_being_counted() {
        let app = app(RateGuard::memory());
        ask(&app, Some("token-of-free-fred")).await;
        for _ in 0..5 {
            let usage = get(&app, "/usage", Some("token-of-free-fred")).await;
            let usage = to_bytes(usage.into_body(), 10_000).await.unwrap();
            let usage = std::str::from_utf8(&usage).unwrap();
            assert!(usage.contains(r#""policy":"plan","limit":2,"remaining":1"#), "{usage}");
        }
    }
}
