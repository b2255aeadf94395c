//! Limits by user, and a quota that depends on the user's plan.
//!
//! ```text
//! cargo run --example plans
//! curl -i -H 'authorization: Bearer token-of-free-fred' http://127.0.0.1:3000/report     # 2 per minute
//! curl -i -H 'authorization: Bearer token-of-paying-pia' http://127.0.0.1:3000/report    # 5 per minute
//! curl -i http://127.0.0.1:3000/report                                                   # 401, 3 per minute by address
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use rateguard::{Key, Policy, Quota, RateGuard, RateLimitLayer, RateLimited, UserId, rate_limit};

const MINUTE: Duration = Duration::from_secs(60);
const FREE: Policy = Policy::new("plan-free", Quota::sliding_window(2, MINUTE));
const PAID: Policy = Policy::new("plan-paid", Quota::sliding_window(5, MINUTE));

#[derive(Clone)]
struct User {
    name: &'static str,
    paying: bool,
}

/// The user of a token. A real program would ask a session store or check a signature here.
fn user_of(token: &str) -> Option<User> {
    match token {
        "token-of-free-fred" => Some(User { name: "fred", paying: false }),
        "token-of-paying-pia" => Some(User { name: "pia", paying: true }),
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

/// The plan's quota, for all routes together.
async fn limit_by_plan(
    State(limiter): State<RateGuard>,
    user: Option<Extension<User>>,
    request: Request,
    next: Next,
) -> Result<Response, RateLimited> {
    if let Some(Extension(user)) = user {
        let plan = if user.paying { PAID } else { FREE };
        limiter.check(&plan, &Key::user(user.name)).await.into_result()?;
    }
    Ok(next.run(request).await)
}

/// The attribute's limit applies in addition to the plan's. A client that has not logged in is counted by address.
#[rate_limit(limit = 3, window = 60, key = "user", skip = |head| head.extensions.get::<User>().is_some_and(|user| user.paying))]
async fn report(user: Option<Extension<User>>) -> Response {
    match user {
        Some(Extension(user)) => format!("a report for {}\n", user.name).into_response(),
        None => (StatusCode::UNAUTHORIZED, "who are you?\n").into_response(),
    }
}

fn app(limiter: RateGuard) -> Router {
    Router::new()
        .route("/report", get(report))
        // Layers added later run earlier: first the authentication, then the limiter, then the plan.
        .layer(middleware::from_fn_with_state(limiter.clone(), limit_by_plan))
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
    use axum::body::Body;
    use axum::extract::connect_info::MockConnectInfo;
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router, token: Option<&str>) -> u16 {
        let mut request = Request::builder().uri("/report");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let client = MockConnectInfo(SocketAddr::from(([203, 0, 113, 7], 50_000)));
        app.clone().layer(client).oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
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
}
