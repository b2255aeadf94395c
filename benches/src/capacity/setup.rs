//! The servers whose load is measured.

use std::time::{Duration, Instant};

use rateguard::{Policy, Quota, RateGuard, RateGuardBuilder};
use rateguard_tests::{RedisCluster, RedisServer, connected};

use super::row::Measured;
use super::{CLUSTER, ONE, WITH_REPLICA};

const CLIENTS: u32 = 10_000;
/// A user who may not run `EVAL`. Without it a limiter cannot find out whether a node decides several slots in one call, so
/// each slot is a call.
const A_CALL_A_SLOT: &str = "slots:p@";

/// Which rows to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// One server, one server with a replica, a cluster.
    Compared,
    /// Also a single client, and a cluster with a call for each slot.
    All,
}

impl Rows {
    pub(super) fn count(self) -> u32 {
        if self == Rows::All { 9 } else { 6 }
    }
}

pub(super) async fn start(which: Rows) -> Vec<Measured> {
    let spread = Policy::new("spread", Quota::sliding_window(100, Duration::from_secs(2)));
    let hot = Policy::new("hot", Quota::sliding_window(1_000_000, Duration::from_secs(1)));
    let mut rows = Vec::new();
    for (name, compact) in ONE.into_iter().zip([false, true]) {
        rows.push(one(name, compact, &spread, CLIENTS).await);
    }
    if which == Rows::All {
        rows.push(one("one server, one client", false, &hot, 1).await);
    }
    for (name, compact) in WITH_REPLICA.into_iter().zip([false, true]) {
        let server = RedisServer::start();
        let replica = replica_of(&server);
        let limiter = connected(builder(compact), &server).await;
        rows.push(Measured::new(name, limiter, vec![server], vec![replica], &spread, CLIENTS));
    }
    for (name, compact) in CLUSTER.into_iter().zip([false, true]) {
        rows.push(cluster(name, "", compact, &spread).await);
    }
    if which == Rows::All {
        for (name, compact) in [("a call for each slot, sorted sets", false), ("a call for each slot, compact", true)] {
            rows.push(cluster(name, A_CALL_A_SLOT, compact, &spread).await);
        }
    }
    rows
}

async fn one(name: &'static str, compact: bool, policy: &Policy, clients: u32) -> Measured {
    let server = RedisServer::start();
    let limiter = connected(builder(compact), &server).await;
    Measured::new(name, limiter, vec![server], Vec::new(), policy, clients)
}

async fn cluster(name: &'static str, user: &str, compact: bool, policy: &Policy) -> Measured {
    let mut cluster = RedisCluster::start();
    for node in &cluster.nodes {
        let _: String = node.command(&["ACL", "SETUSER", "slots", "on", ">p", "~*", "+@all", "-eval"]);
    }
    let url = cluster.url().replace("://", &format!("://{user}"));
    let limiter = builder(compact).redis(url).build().expect("a limiter");
    limiter.ready().await.expect("the cluster answers");
    let masters = cluster.nodes.drain(..3).collect();
    Measured::new(name, limiter, masters, cluster.nodes, policy, CLIENTS)
}

/// Starts a replica, and waits until it follows.
fn replica_of(server: &RedisServer) -> RedisServer {
    let port = server.port().to_string();
    let _: String = server.command(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let patience = Instant::now() + Duration::from_secs(20);
    while !replica.command::<String>(&["INFO", "replication"]).contains("master_link_status:up") {
        assert!(Instant::now() < patience, "the replica does not follow");
        std::thread::sleep(Duration::from_millis(50));
    }
    replica
}

fn builder(compact: bool) -> RateGuardBuilder {
    RateGuard::builder().compact_log(compact).deadline(Duration::from_secs(10))
}
