//! Upstash's REST protocol: what Redis does, it does, and what HTTP can do wrong does no harm. (What every store does is
//! in `stores.rs` and `refunds.rs`.)

mod counts;
mod outages;
mod setup;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rateguard::{Check, Decision, Key, Policy, Quota, RateGuard, RateGuardBuilder, StoreErrorKind};
use rateguard_tests::{
    Authority, Fault, Illness, Log, Proxy, RedisServer, TlsProxy, UpstashServer, connected, connected_upstash,
    free_port, io_error,
};
use tokio::task::JoinSet;
use tracing::Level;

const DEADLINE: Duration = Duration::from_millis(300);
/// Scheduling on a busy machine is not the limiter's.
const A_LITTLE: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(20);
const TOKEN: &str = UpstashServer::TOKEN;

fn policy() -> Policy {
    Policy::new("p", Quota::sliding_window(2, MINUTE))
}

/// Every denial is the store's own.
fn without_memory(prefix: &str) -> RateGuardBuilder {
    RateGuard::builder().prefix(prefix).deny_cache(Duration::ZERO)
}

fn builder(url: impl AsRef<str>) -> RateGuardBuilder {
    without_memory("ratelimit").upstash(url, TOKEN).deadline(DEADLINE)
}

/// Until a check is answered in this way, without an interruption of more than a moment.
async fn until(limiter: &RateGuard, key: &Key, what: impl Fn(&Decision) -> bool) {
    let patience = Instant::now() + PATIENCE;
    loop {
        let start = Instant::now();
        let decision = limiter.check(&policy(), key).await;
        assert!(start.elapsed() < DEADLINE + A_LITTLE, "{:?}", start.elapsed());
        if what(&decision) {
            return;
        }
        assert!(Instant::now() < patience, "{decision:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn enforced_again(limiter: &RateGuard, key: &Key) {
    // By the service, and not by what this process has counted meanwhile.
    until(limiter, key, |decision| !decision.allowed() && !decision.degraded()).await;
}
