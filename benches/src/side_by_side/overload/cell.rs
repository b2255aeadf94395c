//! One cell: a contender, a delay, and a rate of checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rateguard_tests::{DelayLine, RedisServer};
use tokio::runtime::Builder;

use super::checker::{Checker, Kind};
use super::tally::Tally;
use super::{LIMIT, WARM_UP, arrivals};
use crate::counters::Counters;

/// What was measured.
pub(super) struct Cell {
    /// Checks per second.
    pub(super) arrived: f64,
    /// Checks per second that Redis has counted and answered in time.
    pub(super) in_time: f64,
    /// Shares of the checks.
    pub(super) degraded: f64,
    pub(super) failed: f64,
    /// Each with its share.
    pub(super) reasons: Vec<String>,
    /// Milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) slowest: f64,
    /// Units that Redis has counted for checks that were answered without it, and their share of all units. Below zero if
    /// Redis has counted fewer than it answered.
    pub(super) in_vain: i64,
    pub(super) in_vain_share: f64,
    /// The share of a core that Redis used.
    pub(super) redis_core: f64,
}

pub(super) fn measure(kind: Kind, delay: f64, offered: u32, seconds: u32) -> Cell {
    let servers = [RedisServer::start()];
    let [server] = &servers;
    let line = DelayLine::start(server.port(), Duration::from_secs_f64(delay / 1000.0));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let checker = Arc::new(runtime.block_on(Checker::start(kind, &line, clients(offered, seconds))));
    let tally = Arc::new(Tally::default());
    let before = runtime.block_on(checker.charged(server));
    let busy = Counters::of(&servers).cpu_seconds;

    let stop = Arc::new(AtomicBool::new(false));
    let load = {
        let (handle, checker) = (runtime.handle().clone(), Arc::clone(&checker));
        let (tally, stop) = (Arc::clone(&tally), Arc::clone(&stop));
        thread::spawn(move || arrivals::run(&handle, &checker, &tally, &stop, offered))
    };
    thread::sleep(WARM_UP);
    let (began, first) = (Instant::now(), tally.counted());
    thread::sleep(Duration::from_secs(seconds.into()));
    let (in_time, lasted) = (tally.counted() - first, began.elapsed().as_secs_f64());
    let busy = (Counters::of(&servers).cpu_seconds - busy) / (lasted + WARM_UP.as_secs_f64());
    stop.store(true, Ordering::Relaxed);
    let (sent, sending) = load.join().expect("the arrivals");
    let patience = Instant::now() + Duration::from_secs(60);
    while tally.done() < sent && Instant::now() < patience {
        thread::sleep(Duration::from_millis(5));
    }
    // Checks that were sent to Redis and not answered have run there, or will still run.
    thread::sleep(Duration::from_millis(200));
    let charged = runtime.block_on(checker.charged(server)) - before;
    let counted = tally.counted();
    drop(checker);
    runtime.shutdown_timeout(Duration::from_secs(5));

    let reasons = tally.reasons();
    let share = |count: u64| count as f64 / sent.max(1) as f64;
    let (degraded, failed) = (reasons.degraded.values().sum(), reasons.failed.values().sum::<u64>());
    let unanswered = sent - tally.done();
    let never = (unanswered > 0).then_some((&"never answered", &unanswered));
    let named = reasons.degraded.iter().chain(&reasons.failed).chain(never);
    let in_vain = i64::try_from(charged).unwrap_or(i64::MAX) - i64::try_from(counted).unwrap_or(i64::MAX);
    Cell {
        arrived: sent as f64 / sending.as_secs_f64(),
        in_time: in_time as f64 / lasted,
        degraded: share(degraded),
        failed: share(failed + unanswered),
        reasons: named.map(|(name, count)| format!("{name} {:.1} %", 100.0 * share(*count))).collect(),
        p50: tally.took.quantile(0.5),
        p99: tally.took.quantile(0.99),
        slowest: tally.took.quantile(1.0),
        in_vain,
        in_vain_share: in_vain as f64 / charged.max(1) as f64,
        redis_core: busy,
    }
}

/// So many that no client comes near the limit.
fn clients(offered: u32, seconds: u32) -> u32 {
    let checks = f64::from(offered) * (f64::from(seconds) + WARM_UP.as_secs_f64());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of clients")]
    let needed = (checks / f64::from(LIMIT / 2)) as u32;
    needed.max(10_000)
}
