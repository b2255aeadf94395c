//! What each algorithm costs Redis: bytes per key by limit, and microseconds of each operation on a quota that is half used
//! and on one that is used up.
//!
//! ```text
//! cargo run --release -p rateguard-benches --bin costs
//! ```
#![allow(clippy::expect_used, reason = "a program that measures stops where it cannot")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rateguard::{Decision, Key, Policy, Quota, RateGuard};
use rateguard_benches::process_group;
use rateguard_tests::{RedisServer, connected};

const HOUR: Duration = Duration::from_secs(3600);
const LIMITS: [u32; 8] = [10, 127, 128, 129, 512, 1000, 100_000, 10_000_000];
/// The most hits that fill a quota, spread evenly over nearly one window. For a larger quota, each hit has several units.
const HITS: u32 = 2000;
/// How often each operation is measured.
const TIMES: u32 = 400;

type Make = fn(u32, Duration) -> Quota;

/// A server that is measured, and one whose clock the program moves, so that an hour passes at once.
struct Bench {
    server: RedisServer,
    limiter: RateGuard,
    past: RedisServer,
    filler: RateGuard,
    make: Make,
}

impl Bench {
    async fn new(make: Make, compact: bool) -> Bench {
        let builder = || RateGuard::builder().compact_log(compact).deny_cache(Duration::ZERO);
        let (server, past) = (RedisServer::start(), RedisServer::start_with_clock());
        let limiter = connected(builder(), &server).await;
        let filler = connected(builder(), &past).await;
        Bench { server, limiter, past, filler, make }
    }

    fn policy(&self, name: u32, limit: u32) -> Policy {
        Policy::try_new(format!("p{name}"), (self.make)(limit, HOUR)).expect("a name")
    }

    /// A client that has used this many units of its limit, spread evenly over the window that ends now. The first unit has
    /// just left the window.
    async fn fill(&self, limit: u32, units: u32) -> (Policy, Key) {
        for server in [&self.server, &self.past] {
            server.command::<String>(&["FLUSHALL"]);
        }
        let (policy, key) = (self.policy(limit, limit), Key::user("client"));
        let hits = units.min(HITS);
        let start = now() - 3_604_000_000;
        for hit in 0..hits {
            self.past.clock().set(start + 3_600_000_000 * u64::from(hit) / u64::from(hits));
            let cost = units / hits + u32::from(hit < units % hits);
            seen(&self.filler.check_cost(&policy, &key, cost).await, true);
        }
        let mut past = self.past.connection();
        let name = self.past.keys().pop().expect("a client");
        let copy: Vec<u8> = redis::cmd("DUMP").arg(&name).query(&mut past).expect("a copy");
        self.restore(&name, &copy);
        (policy, key)
    }

    fn restore(&self, name: &str, copy: &[u8]) {
        let mut restore = redis::cmd("RESTORE");
        restore.arg(name).arg(7_200_000).arg(copy).arg("REPLACE");
        let _: () = restore.query(&mut self.server.connection()).expect("the copy is put back");
    }

    fn bytes(&self) -> u64 {
        let keys = self.server.keys();
        keys.iter().map(|key| self.server.command::<u64>(&["MEMORY", "USAGE", key, "SAMPLES", "0"])).sum()
    }

    /// The median of one operation in microseconds. Each run starts from the same state. If the lean script calls for the whole
    /// script, both calls are included.
    async fn micros<F: Future<Output = ()>>(&self, operation: impl Fn(RateGuard) -> F) -> u64 {
        let name = self.server.keys().pop().expect("a client");
        let copy: Vec<u8> = redis::cmd("DUMP").arg(&name).query(&mut self.server.connection()).expect("a copy");
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let before = spent(&self.server);
            operation(self.limiter.clone()).await;
            times.push(spent(&self.server) - before);
            self.restore(&name, &copy);
        }
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_micros()).expect("a time")
}

/// Microseconds of all script calls.
fn spent(server: &RedisServer) -> u64 {
    let info: String = server.command(&["INFO", "commandstats"]);
    let line = info.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap_or_default();
    line.split(',').find_map(|part| part.strip_prefix("usec=")?.parse().ok()).unwrap_or_default()
}

fn seen(decision: &Decision, allowed: bool) {
    assert!(decision.allowed() == allowed && !decision.degraded(), "{decision:?}");
}

fn main() {
    process_group::run(measure);
}

#[tokio::main]
async fn measure() {
    let rules: [(&str, Make, bool, &[u32]); 5] = [
        ("sliding_window", Quota::sliding_window, false, &LIMITS),
        ("sliding_window, compact", Quota::sliding_window, true, &[10, 127, 512]),
        ("sliding_counter", Quota::sliding_counter, false, &[10, 10_000_000]),
        ("fixed_window", Quota::fixed_window, false, &[10, 10_000_000]),
        // A large bucket would have refilled before the check.
        ("token_bucket", Quota::token_bucket, false, &[10]),
    ];
    println!(
        "Bytes per key (MEMORY USAGE), and microseconds of Redis' own time per operation (commandstats of EVALSHA), one"
    );
    println!("operation per call. Lowering and raising are the first check with half and with twice the limit.\n");
    println!(
        "| algorithm | limit | used | bytes | check | deny | peek | refund, oldest | refund, receipt | lowering | raising |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (name, make, compact, limits) in rules {
        let bench = Bench::new(make, compact).await;
        for &limit in limits {
            // A counter keeps the same data whatever its count.
            let log = name.starts_with("sliding_window");
            for (used, units) in
                [("half", limit / 2), ("full", limit)].into_iter().filter(|(used, _)| log || *used == "half")
            {
                println!("| {name} | {limit} | {used} | {} |", row(&bench, limit, units).await.join(" | "));
            }
        }
    }
}

async fn row(bench: &Bench, limit: u32, units: u32) -> Vec<String> {
    let (policy, key) = &bench.fill(limit, units).await;
    let mut cells = vec![bench.bytes().to_string()];
    let mut cell = |micros: u64| cells.push(micros.to_string());
    cell(bench.micros(|limiter| async move { seen(&limiter.check(policy, key).await, true) }).await);

    let charge = bench.limiter.check(policy, key).await;
    let peek = |limiter: RateGuard| async move {
        let _ = limiter.peek(policy, key).await.expect("an answer");
    };
    let peek = bench.micros(peek).await;
    let refund = |limiter: RateGuard| async move { limiter.refund(policy, key, 1).await.expect("an answer") };
    let oldest = bench.micros(refund).await;
    let charge = &charge;
    let by_receipt = |limiter: RateGuard| async move {
        limiter.refund_decision(charge).await.expect("an answer");
    };
    let by_receipt = bench.micros(by_receipt).await;
    let mut changed = Vec::new();
    for other in [limit / 2, limit * 2] {
        let other = &bench.policy(limit, other);
        let check = |limiter: RateGuard| async move { assert!(!limiter.check(other, key).await.degraded()) };
        changed.push(bench.micros(check).await);
    }
    // If the quota is half used, a check of the whole limit is denied.
    let cost = if units == limit { 1 } else { limit };
    if units == limit {
        let left = bench.limiter.peek(policy, key).await.expect("an answer").remaining();
        seen(&bench.limiter.check_cost(policy, key, left).await, true);
    }
    let deny = |limiter: RateGuard| async move { seen(&limiter.check_cost(policy, key, cost).await, false) };
    cell(bench.micros(deny).await);
    for micros in [peek, oldest, by_receipt].into_iter().chain(changed) {
        cell(micros);
    }
    cells
}
