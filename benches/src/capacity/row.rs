//! A limiter with its servers, and what its checks cost them.

use futures_util::future::join_all;
use rateguard::{Key, Policy, RateGuard};
use rateguard_tests::RedisServer;

use super::ROUNDS;

/// Checks for each of these numbers and each server or node, in one of the rounds; and the most times that they are made.
const CHECKS: u32 = 64_000;
const TIMES: u32 = 6_000;

/// What checks cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The servers and the form of the log.
    pub name: String,
    /// Servers that count.
    pub nodes: u32,
    /// Bytes to and from Redis per check, with the largest calls.
    pub bytes: f64,
    /// By the number of simultaneous checks for each node: microseconds of Redis' CPU per check.
    pub points: Vec<(u32, f64)>,
}

impl Row {
    /// Microseconds per check, with the largest calls.
    pub fn micros(&self) -> f64 {
        self.points.last().map_or(f64::NAN, |(_, micros)| *micros)
    }

    /// Checks per second at which every node uses one core, with the largest calls.
    pub fn carries(&self) -> f64 {
        f64::from(self.nodes) * 1e6 / self.micros()
    }
}

/// A row while it is measured.
pub(super) struct Measured {
    name: &'static str,
    limiter: RateGuard,
    /// The servers that count.
    nodes: Vec<RedisServer>,
    /// They run, but are not measured.
    _replicas: Vec<RedisServer>,
    policy: Policy,
    clients: u32,
    client: u32,
    /// Of the rounds so far: microseconds per check, and bytes.
    rounds: Vec<(f64, f64)>,
    points: Vec<(u32, f64)>,
    bytes: f64,
}

impl Measured {
    pub(super) fn new(
        name: &'static str,
        limiter: RateGuard,
        nodes: Vec<RedisServer>,
        replicas: Vec<RedisServer>,
        policy: &Policy,
        clients: u32,
    ) -> Measured {
        Measured {
            name,
            limiter,
            nodes,
            _replicas: replicas,
            policy: policy.clone(),
            clients,
            client: 0,
            rounds: Vec::new(),
            points: Vec::new(),
            bytes: 0.0,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    async fn call(&mut self, together: u32) {
        let keys: Vec<Key> = (0..together).map(|n| Key::user((self.client + n) % self.clients)).collect();
        self.client = (self.client + together) % self.clients;
        for decision in join_all(keys.iter().map(|key| self.limiter.check(&self.policy, key))).await {
            assert!(!decision.degraded(), "Redis counts");
        }
    }

    /// One round with this many simultaneous checks for each node.
    pub(super) async fn measure(&mut self, together: u32) {
        let (together, rounds) = (together * self.node_count(), (CHECKS / (together * self.node_count())).min(TIMES));
        for _ in 0..rounds / 10 {
            self.call(together).await;
        }
        let before = Used::by(&self.nodes);
        for _ in 0..rounds {
            self.call(together).await;
        }
        let after = Used::by(&self.nodes);
        let checks = f64::from(rounds * together);
        self.rounds.push(((after.cpu - before.cpu) * 1e6 / checks, (after.bytes - before.bytes) / checks));
    }

    /// Takes the median of the rounds.
    pub(super) fn finish(&mut self, together: u32) {
        let mut rounds = std::mem::take(&mut self.rounds);
        rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (micros, bytes) = *rounds.get(ROUNDS / 2).expect("the rounds");
        self.points.push((together, micros));
        self.bytes = bytes;
    }

    pub(super) fn into_row(self) -> Row {
        Row { name: self.name.to_owned(), nodes: self.node_count(), bytes: self.bytes, points: self.points }
    }

    fn node_count(&self) -> u32 {
        u32::try_from(self.nodes.len()).expect("a few")
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
