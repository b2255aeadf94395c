//! Testing your own limits in microseconds, with a clock that the test moves.
//!
//! ```text
//! cargo test -p rateguard-examples --example testing    # the tests below
//! cargo run --example testing                           # the app that they test, on http://127.0.0.1:3000/report
//! ```

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use rateguard::{RateGuard, RateLimitLayer, rate_limit};

/// Three reports per hour, and no two within ten seconds.
#[rate_limit(limit = 3, window = "1h")]
#[rate_limit(limit = 1, window = "10s")]
async fn report() -> &'static str {
    "a report that takes a while\n"
}

/// The limiter is a parameter, so that a test can pass its own.
fn app(limiter: RateGuard) -> Router {
    Router::new().route("/report", get(report)).layer(RateLimitLayer::new(limiter))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = app(RateGuard::from_env()?);
    let listener = rateguard_examples::listen(&["curl -i URL/report"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::extract::Request;
    use axum::extract::connect_info::MockConnectInfo;
    use axum::http::StatusCode;
    use rateguard::ManualClock;
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router) -> StatusCode {
        let client = MockConnectInfo(SocketAddr::from(([203, 0, 113, 7], 50_000)));
        let request = Request::builder().uri("/report").body(Body::empty()).unwrap();
        app.clone().layer(client).oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn reports_come_ten_seconds_apart_and_three_an_hour() {
        let clock = ManualClock::new();
        let app = app(RateGuard::builder().clock(clock.clone()).build().unwrap());
        for _ in 0..3 {
            assert_eq!(ask(&app).await, 200);
            assert_eq!(ask(&app).await, 429);
            clock.advance(Duration::from_secs(10));
        }
        assert_eq!(ask(&app).await, 429, "three units of the hour are used");
        // The first report no longer counts.
        clock.advance(Duration::from_secs(3600 - 30));
        assert_eq!(ask(&app).await, 200);
    }
}
