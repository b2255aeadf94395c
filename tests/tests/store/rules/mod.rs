//! The rules: memory, Redis running the script under a clock that the test moves, and a plain model say the same; and
//! what was allowed keeps to the limit.
//!
//! `RATEGUARD_SEQUENCES=10000` runs as many random sequences for each algorithm instead of some hundred.

mod both;
mod charges;
mod clock;
mod crowds;
mod held;
mod model;
mod sequences;
mod steps;
mod vectors;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use model::Model;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rateguard::{Algorithm, Check, Decision, Key, ManualClock, Policy, Quota, RateGuard};
use rateguard_tests::{ALGORITHMS, RedisServer, connected};

use both::{Both, Told};
use charges::{Charge, Charges};
use steps::{Step, changes, steps};

const START: u64 = 1_800_000_000_000_000;
fn sequences() -> u32 {
    std::env::var("RATEGUARD_SEQUENCES").map_or(150, |text| text.parse().expect("a number of sequences"))
}

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: sequences(),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    })
}

fn limits() -> impl Strategy<Value = u32> {
    // Around the borders of the forms that a log is kept in.
    prop_oneof![1_u32..12, Just(100), Just(128), Just(129), Just(500), Just(513), Just(700)]
}

fn windows() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::from_millis(1)),
        (1_000_u64..10_000_000).prop_map(Duration::from_micros),
        Just(Duration::from_secs(60)),
        Just(Duration::from_secs(365 * 86_400)),
    ]
}

fn quota(algorithm: Algorithm, limit: u32, window: Duration, burst: Option<u32>) -> Quota {
    let quota = Quota::try_new(algorithm, limit, window).unwrap();
    match burst {
        Some(burst) if algorithm == Algorithm::TokenBucket => quota.try_burst(burst).unwrap_or(quota),
        _ => quota,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap()
}

fn said(decision: &Decision) -> (bool, u32, u64, Option<u64>) {
    assert!(!decision.degraded(), "{:?}", decision.degraded_reason());
    (decision.allowed(), decision.remaining(), micros(decision.reset_after()), decision.retry_after().map(micros))
}
