//! What a check costs Redis, by the number of checks that share a call: the load that one core of Redis can carry; and what a
//! check costs the nodes of a cluster.
//!
//! ```text
//! cargo run --release -p rateguard-benches --bin capacity
//! ```
#![allow(clippy::expect_used, reason = "a program that measures stops where it cannot")]

use std::time::Duration;

use futures_util::future::join_all;
use rateguard::{Key, Policy, Quota, RateGuard, RateGuardBuilder};
use rateguard_tests::{RedisCluster, RedisServer, connected};

/// Simultaneous checks for each server or node.
const TOGETHER: [u32; 4] = [1, 8, 24, 64];
/// Checks for each of these numbers and each server or node, in one of the rounds; and the most times that they are made.
const CHECKS: u32 = 64_000;
const TIMES: u32 = 6_000;
/// The rows are measured one after the other, this often. The median counts.
const ROUNDS: usize = 3;
const CLIENTS: u32 = 10_000;
/// A user who may not run `EVAL`. Without it a limiter cannot find out whether a node decides several slots in one call, so
/// each slot is a call.
const A_CALL_A_SLOT: &str = "slots:p@";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let spread = Policy::new("spread", Quota::sliding_window(100, Duration::from_secs(2)));
    let hot = Policy::new("hot", Quota::sliding_window(1_000_000, Duration::from_secs(1)));
    println!(
        "Redis' own CPU time per check, user and system, in microseconds (INFO cpu), by the number of simultaneous checks for \
         each node, and bytes to and from Redis per check; the median of {ROUNDS} interleaved rounds. Then the fitted line: the \
         cost per call of one server, and per check in it; and the checks per second at which every node would use one core, with \
         the largest calls.\n"
    );
    let mut rows = Vec::new();
    let mut servers = Vec::new();
    for (name, policy, clients, compact) in [
        ("10 000 clients, sorted sets", &spread, CLIENTS, false),
        ("10 000 clients, compact", &spread, CLIENTS, true),
        ("one client", &hot, 1, false),
    ] {
        let server = RedisServer::start();
        rows.push(Row::new(
            name,
            connected(builder(compact), &server).await,
            servers.len()..servers.len() + 1,
            policy,
            clients,
        ));
        servers.push(server);
    }
    let mut clusters = Vec::new();
    for (name, user, compact) in [
        ("cluster of three, sorted sets", "", false),
        ("cluster of three, compact", "", true),
        ("a call for each slot, sorted sets", A_CALL_A_SLOT, false),
        ("a call for each slot, compact", A_CALL_A_SLOT, true),
    ] {
        let mut cluster = RedisCluster::start();
        for node in &cluster.nodes {
            let _: String = node.command(&["ACL", "SETUSER", "slots", "on", ">p", "~*", "+@all", "-eval"]);
        }
        let limiter =
            builder(compact).redis(cluster.url().replace("://", &format!("://{user}"))).build().expect("a limiter");
        limiter.ready().await.expect("the cluster answers");
        let first = servers.len();
        servers.extend(cluster.nodes.drain(..3));
        rows.push(Row::new(name, limiter, first..servers.len(), &spread, CLIENTS));
        clusters.push(cluster);
    }
    for together in TOGETHER {
        for round in 1..=ROUNDS {
            eprintln!("{together} together, round {round} of {ROUNDS} …");
            for row in &mut rows {
                let nodes = servers.get(row.nodes.clone()).expect("the row's servers");
                row.measure(nodes, together).await;
            }
        }
        for row in &mut rows {
            row.finish(together);
        }
    }
    let numbers = TOGETHER.map(|together| format!("{together} together"));
    println!("| | {} | bytes | per call | per check | checks/s |", numbers.join(" | "));
    println!("|---|{}---:|---:|---:|---:|", "---:|".repeat(TOGETHER.len()));
    rows.iter().for_each(Row::print);
}

fn builder(compact: bool) -> RateGuardBuilder {
    RateGuard::builder().compact_log(compact).deadline(Duration::from_secs(10))
}

struct Row<'p> {
    name: &'static str,
    limiter: RateGuard,
    nodes: std::ops::Range<usize>,
    policy: &'p Policy,
    clients: u32,
    client: u32,
    /// Of the rounds so far: microseconds per check, and bytes.
    rounds: Vec<(f64, f64)>,
    /// By the number of simultaneous checks.
    points: Vec<(f64, f64)>,
    bytes: f64,
}

impl<'p> Row<'p> {
    fn new(
        name: &'static str,
        limiter: RateGuard,
        nodes: std::ops::Range<usize>,
        policy: &'p Policy,
        clients: u32,
    ) -> Row<'p> {
        Row { name, limiter, nodes, policy, clients, client: 0, rounds: Vec::new(), points: Vec::new(), bytes: 0.0 }
    }

    async fn call(&mut self, together: u32) {
        let keys: Vec<Key> = (0..together).map(|n| Key::user((self.client + n) % self.clients)).collect();
        self.client = (self.client + together) % self.clients;
        for decision in join_all(keys.iter().map(|key| self.limiter.check(self.policy, key))).await {
            assert!(!decision.degraded(), "Redis counts");
        }
    }

    async fn measure(&mut self, nodes: &[RedisServer], together: u32) {
        let count = u32::try_from(nodes.len()).expect("a few");
        let (together, rounds) = (together * count, (CHECKS / together).min(TIMES));
        for _ in 0..rounds / 10 {
            self.call(together).await;
        }
        let before = Used::by(nodes);
        for _ in 0..rounds {
            self.call(together).await;
        }
        let after = Used::by(nodes);
        let checks = f64::from(rounds * together);
        self.rounds.push(((after.cpu - before.cpu) * 1e6 / checks, (after.bytes - before.bytes) / checks));
    }

    fn finish(&mut self, together: u32) {
        let mut rounds = std::mem::take(&mut self.rounds);
        rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (micros, bytes) = *rounds.get(ROUNDS / 2).expect("the rounds");
        self.points.push((f64::from(together), micros));
        self.bytes = bytes;
    }

    fn print(&self) {
        let cells: Vec<String> = self.points.iter().map(|(_, micros)| format!("{micros:.2}")).collect();
        let (call, check) = line(&self.points.iter().map(|(n, micros)| (*n, n * micros)).collect::<Vec<_>>());
        let nodes = f64::from(u32::try_from(self.nodes.len()).expect("a few"));
        let carries = self.points.last().map_or(0.0, |(_, micros)| nodes * 1e6 / micros);
        println!(
            "| {} | {} | {:.0} | {call:.1} | {check:.2} | {carries:.0} |",
            self.name,
            cells.join(" | "),
            self.bytes
        );
    }
}

/// What all servers together have used since they were started.
struct Used {
    cpu: f64,
    bytes: f64,
}

impl Used {
    fn by(servers: &[RedisServer]) -> Used {
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
