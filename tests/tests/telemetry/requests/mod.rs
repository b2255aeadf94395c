//! What operators see of requests: metrics as they are scraped, and events in the log.

mod events;
mod metrics;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::http::request::Parts;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rateguard::{Key, KeyBy, ManualClock, OnError, Policy, Quota, RateGuard, RateLimitLayer, rate_limit};
use rateguard_tests::{App, Log, RedisServer, connected};
use tracing::Level;

const MINUTE: Duration = Duration::from_secs(60);

/// The program's one recorder: tests tell themselves apart by the names of their policies.
fn prometheus() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

fn denials(log: &Log) -> Vec<String> {
    log.lines_with("rateguard: denied")
}

fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let value = line.split(&format!(" {name}=")).nth(1).unwrap_or_else(|| panic!("no {name}: {line}"));
    value.split(' ').next().unwrap_or_default().trim_matches('"')
}
