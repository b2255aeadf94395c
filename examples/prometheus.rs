//! Metrics for Prometheus.
//!
//! ```text
//! cargo run --example prometheus          # REDIS_URL=redis://127.0.0.1:6379 also shows what Redis costs
//! for i in 1 2 3 4 5 6 7; do curl -s -o /dev/null http://127.0.0.1:3000/; done
//! curl -s http://127.0.0.1:3000/metrics
//! ```
//!
//! The chapter `rateguard::guide::metrics_and_logs` lists the metrics and the useful alerts.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer, rate_limit};

#[rate_limit(limit = 5, window = 60, name = "index")]
async fn index() -> &'static str {
    "hello\n"
}

async fn scrape(State(metrics): State<PrometheusHandle>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render())
}

/// The recorder that receives the library's metrics. Any recorder of the `metrics` facade works.
fn recorder() -> Result<PrometheusHandle, BuildError> {
    let seconds = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];
    PrometheusBuilder::new()
        // Histograms with buckets can be summed over servers. Without these lines they are summaries.
        .set_buckets_for_metric(Matcher::Full("rateguard_check_duration_seconds".to_owned()), &seconds)?
        .set_buckets_for_metric(
            Matcher::Full("rateguard_batch_size".to_owned()),
            &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0],
        )?
        .install_recorder()
}

fn app(limiter: RateGuard, metrics: PrometheusHandle) -> Router {
    let everything = Quota::sliding_window(100, Duration::from_secs(60));
    Router::new()
        .route("/", get(index))
        .layer(RateLimitLayer::new(limiter).limit("everything", everything, KeyBy::Ip))
        // Outside of the layer, so that scrapes are not counted.
        .merge(Router::new().route("/metrics", get(scrape)).with_state(metrics))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    // Installed before the limiter is made, so that nothing from the start is missing.
    let metrics = recorder()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    let app = app(RateGuard::from_env()?, metrics);
    let listener = rateguard_examples::listen(&["curl -i URL/", "curl -s URL/metrics"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use tower::ServiceExt;

    use super::*;

    async fn get(app: &Router, path: &str) -> (u16, String) {
        let client = rateguard_examples::client([203, 0, 113, 7]);
        let request = Request::get(path).extension(client).body(Body::empty()).unwrap();
        let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 100_000).await.unwrap();
        (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn allowed_and_denied_requests_are_scraped_by_policy_and_without_addresses() {
        let app = app(RateGuard::memory(), recorder().unwrap());
        for status in [200, 200, 200, 200, 200, 429, 429] {
            assert_eq!(get(&app, "/").await.0, status);
        }
        let (status, scraped) = get(&app, "/metrics").await;
        assert_eq!(status, 200);
        for line in [
            "# TYPE rateguard_requests_total counter",
            r#"rateguard_requests_total{policy="index",outcome="allowed"} 5"#,
            r#"rateguard_requests_total{policy="index",outcome="denied"} 2"#,
            r#"rateguard_requests_total{policy="everything",outcome="allowed"} 7"#,
        ] {
            assert!(scraped.lines().any(|other| other == line), "{line} in\n{scraped}");
        }
        assert!(!scraped.contains("203.0.113.7"), "{scraped}");
    }
}
