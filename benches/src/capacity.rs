//! What a check costs Redis, by the number of checks that share a call: the load that one core of Redis can carry.
//!
//! ```text
//! cargo run --release -p rateguard-benches --bin capacity
//! ```
#![allow(clippy::expect_used, reason = "a program that measures stops where it cannot")]

use std::time::Duration;

use futures_util::future::join_all;
use rateguard::{Key, Policy, Quota, RateGuard, RateGuardBuilder};
use rateguard_tests::{RedisCluster, RedisServer, connected};

/// Simultaneous checks from one server.
const TOGETHER: [u32; 4] = [1, 8, 24, 64];
/// Checks for each of these numbers.
const CHECKS: u32 = 192_000;
const CLIENTS: u32 = 10_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let spread = Policy::new("spread", Quota::sliding_window(100, Duration::from_secs(2)));
    let hot = Policy::new("hot", Quota::sliding_window(1_000_000, Duration::from_secs(1)));
    println!(
        "Redis' own CPU time per check, user and system, in microseconds (INFO cpu), and bytes to and from Redis per check, by \
         the number of simultaneous checks. The last columns are the fitted line: the cost per call, and per check in it.\n"
    );
    let numbers = TOGETHER.map(|together| format!("{together} together"));
    println!("| | {} | bytes | per call | per check |", numbers.join(" | "));
    println!("|---|{}---:|---:|---:|", "---:|".repeat(TOGETHER.len()));
    for (name, policy, clients, compact) in [
        ("10 000 clients, sorted sets", &spread, CLIENTS, false),
        ("10 000 clients, compact", &spread, CLIENTS, true),
        ("one client", &hot, 1, false),
    ] {
        let server = RedisServer::start();
        let limiter = connected(builder(compact), &server).await;
        row(name, &limiter, &[&server], policy, clients).await;
    }
    let cluster = RedisCluster::start();
    let masters: Vec<&RedisServer> = cluster.nodes.iter().take(3).collect();
    let hosts: Vec<String> = masters.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
    for (name, compact) in [("cluster of three, sorted sets", false), ("cluster of three, compact", true)] {
        let limiter =
            builder(compact).redis(format!("redis+cluster://{}", hosts.join(","))).build().expect("a limiter");
        limiter.ready().await.expect("the cluster answers");
        row(name, &limiter, &masters, &spread, CLIENTS).await;
    }
}

fn builder(compact: bool) -> RateGuardBuilder {
    RateGuard::builder().compact_log(compact).deadline(Duration::from_secs(10))
}

async fn row(name: &str, limiter: &RateGuard, servers: &[&RedisServer], policy: &Policy, clients: u32) {
    let mut cells = Vec::new();
    let mut points = Vec::new();
    let mut bytes = 0.0;
    for together in TOGETHER {
        let rounds = CHECKS / together;
        let mut client = 0;
        let mut call = async || {
            let keys: Vec<Key> = (0..together).map(|n| Key::user((client + n) % clients)).collect();
            client += together;
            for decision in join_all(keys.iter().map(|key| limiter.check(policy, key))).await {
                assert!(!decision.degraded(), "Redis counts");
            }
        };
        for _ in 0..rounds / 10 {
            call().await;
        }
        let before = Used::by(servers);
        for _ in 0..rounds {
            call().await;
        }
        let after = Used::by(servers);
        let micros = (after.cpu - before.cpu) * 1e6 / f64::from(rounds);
        bytes = (after.bytes - before.bytes) / f64::from(CHECKS);
        cells.push(format!("{:.2}", micros / f64::from(together)));
        points.push((f64::from(together), micros));
    }
    let (call, check) = line(&points);
    println!("| {name} | {} | {bytes:.0} | {call:.1} | {check:.2} |", cells.join(" | "));
}

/// What all servers together have used since they were started.
struct Used {
    cpu: f64,
    bytes: f64,
}

impl Used {
    fn by(servers: &[&RedisServer]) -> Used {
        let mut used = Used { cpu: 0.0, bytes: 0.0 };
        for server in servers {
            let info: String = server.command(&["INFO", "everything"]);
            let number = |name: &str| -> f64 {
                let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.and_then(|text| text.trim().parse().ok()).expect("a number")
            };
            used.cpu += number("used_cpu_user") + number("used_cpu_sys");
            used.bytes += number("total_net_input_bytes") + number("total_net_output_bytes");
        }
        used
    }
}

/// The least-squares line: its value at 0 and its slope.
fn line(points: &[(f64, f64)]) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let below: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = above / below;
    (y - slope * x, slope)
}
