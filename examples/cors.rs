//! Headers for scripts in browsers. A script reads only the headers that CORS exposes, and a denial needs CORS headers too.
//!
//! ```text
//! cargo run --example cors
//! curl -i -H 'Origin: https://app.example' http://127.0.0.1:3000/quote      # access-control-expose-headers lists the headers
//! ```
//!
//! In the console of a browser, on any page whose content policy allows it:
//!
//! ```text
//! for (let i = 0; i < 6; i++) {
//!   const answer = await fetch('http://127.0.0.1:3000/quote');
//!   console.log(answer.status, answer.headers.get('x-ratelimit-remaining'), answer.headers.get('retry-after'));
//! }
//! ```

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::http::Method;
use axum::routing::get;
use rateguard::{Headers, RateGuard, RateLimitLayer, rate_limit};
use tower_http::cors::{Any, CorsLayer};

const HEADERS: Headers = Headers::X_RATE_LIMIT;

#[rate_limit(limit = 5, window = 60)]
async fn quote() -> &'static str {
    "Festina lente.\n"
}

fn app(limiter: RateGuard) -> Router {
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::GET]).expose_headers(HEADERS.names());
    Router::new()
        .route("/quote", get(quote))
        .layer(RateLimitLayer::new(limiter).headers(HEADERS))
        // Added last, so it is the outermost layer: it answers preflight requests before they are counted, and denials pass
        // through it.
        .layer(cors)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(RateGuard::from_env()?);
    let listener = rateguard_examples::listen(&["curl -i -H 'Origin: https://app.example' URL/quote"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use axum::response::Response;
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router, method: Method) -> Response {
        let request = Request::builder()
            .method(method)
            .uri("/quote")
            .header("origin", "https://app.example")
            .header("access-control-request-method", "GET")
            .extension(rateguard_examples::client([203, 0, 113, 7]))
            .body(Body::empty())
            .unwrap();
        app.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn browsers_may_read_the_quota_also_of_denials_and_preflight_is_not_counted() {
        let app = app(RateGuard::memory());
        for _ in 0..10 {
            let preflight = ask(&app, Method::OPTIONS).await;
            assert_eq!(preflight.status(), 200);
            assert!(!preflight.headers().contains_key("x-ratelimit-limit"));
        }
        for status in [200, 200, 200, 200, 200, 429] {
            let response = ask(&app, Method::GET).await;
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["access-control-allow-origin"], "*");
            let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
            for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"] {
                assert!(exposed.contains(name), "{name} in {exposed}");
                assert!(status == 200 || response.headers().contains_key(name), "{name}");
            }
        }
    }
}
