//! Rolling out a limit: let it watch first, look at what it would have refused, then let it refuse.
//!
//! ```text
//! cargo run --example shadow
//! for i in 1 2 3 4 5; do curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:3000/; done   # all are served,
//! curl -s http://127.0.0.1:3000/metrics | grep requests_total            # and this would have been refused: shadowed
//!
//! ENFORCE=1 cargo run --example shadow                                   # the same limit in earnest
//! ```
//!
//! Here one limit of a layer is new. `shadow = true` is the same for an attribute, `RateLimitLayer::shadow` for all limits
//! of a layer, `RateGuardBuilder::shadow` for everything.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rateguard::{KeyBy, Policy, Quota, RateGuard, RateLimitLayer};

/// The limit that there has always been: it goes on refusing.
const MINUTE: Policy = Policy::new("minute", Quota::sliding_window(100, Duration::from_secs(60)));
/// The new one: is two a second too little for the clients we have?
const BURST: Policy = Policy::new("burst", Quota::sliding_window(2, Duration::from_secs(1)));

fn app(limiter: RateGuard, metrics: PrometheusHandle, enforce: bool) -> Router {
    let layer = RateLimitLayer::new(limiter).policy(MINUTE, KeyBy::Ip).policy(BURST.shadow(!enforce), KeyBy::Ip);
    Router::new()
        .route("/", get(|| async { "hello\n" }))
        .layer(layer)
        .route("/metrics", get(async move || metrics.render()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let app = app(RateGuard::from_env()?, metrics, env::var("ENFORCE").is_ok_and(|word| word == "1"));
    let listener =
        rateguard_examples::listen(&["for i in 1 2 3 4 5; do curl -i URL/; done", "curl -s URL/metrics"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use rateguard::ManualClock;
    use tower::ServiceExt;

    use super::*;

    async fn statuses(app: &Router) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..5 {
            let client = rateguard_examples::client([203, 0, 113, 7]);
            let request = Request::get("/").extension(client).body(Body::empty()).unwrap();
            statuses.push(app.clone().oneshot(request).await.unwrap().status().as_u16());
        }
        statuses
    }

    #[tokio::test]
    async fn a_shadow_counts_what_it_would_refuse_and_refuses_nothing() {
        let metrics = PrometheusBuilder::new().install_recorder().unwrap();
        // Its clock does not move, so the five requests come in one second.
        let limiter = || RateGuard::builder().clock(ManualClock::new()).build().unwrap();
        let watching = app(limiter(), metrics.clone(), false);
        let enforcing = app(limiter(), metrics.clone(), true);
        assert_eq!(statuses(&watching).await, [200; 5]);
        let counted = metrics.render();
        for line in [
            r#"rateguard_requests_total{policy="burst",outcome="allowed"} 2"#,
            r#"rateguard_requests_total{policy="burst",outcome="shadowed"} 3"#,
            r#"rateguard_requests_total{policy="minute",outcome="allowed"} 5"#,
        ] {
            assert!(counted.contains(line), "{line} in\n{counted}");
        }
        assert_eq!(statuses(&enforcing).await, [200, 200, 429, 429, 429]);
    }
}
