//! Counts that are spread over the nodes of a Redis Cluster.

mod at_most_once;
mod liar;
mod limits;
mod setup;
mod shared_calls;
mod slots;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rateguard::{Check, Decision, Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, StoreErrorKind, rate_limit};
use rateguard_tests::{Fault, Proxy, RedisCluster, RedisServer, free_port, serve};
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_secs(60);

fn policy(name: &'static str, limit: u32) -> Policy {
    Policy::new(name, Quota::sliding_window(limit, MINUTE))
}

async fn connected(url: impl AsRef<str>) -> RateGuard {
    let limiter = RateGuard::builder().redis(url).deadline(Duration::from_secs(10)).build().unwrap();
    limiter.ready().await.unwrap();
    limiter
}

fn user(n: u32) -> Key {
    Key::user(n)
}

fn key(identity: &str, policy: &str) -> String {
    format!("ratelimit:{{{identity}}}:{policy}:sw2")
}

/// Users whose counts are on different nodes.
fn one_of_each(cluster: &RedisCluster) -> Vec<Key> {
    numbers_of_each(cluster).map(user).to_vec()
}

fn numbers_of_each(cluster: &RedisCluster) -> [u32; 3] {
    [0, 1, 2].map(|master| (0..1000).find(|n| cluster.master_of(&format!("user:{n}")) == master).unwrap())
}

/// How often the masters were sent this command.
fn calls(cluster: &RedisCluster, command: &str) -> [u64; 3] {
    [0, 1, 2].map(|node| {
        let stats: String = cluster.nodes[node].command(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    })
}

/// One check of each of many users at once.
async fn burst(limiter: &RateGuard, policy: &Policy) -> Vec<Decision> {
    let keys: Vec<Key> = (0..60).map(user).collect();
    futures_util::future::join_all(keys.iter().map(|key| limiter.check(policy, key))).await
}

/// Bursts until one is a single call for each node.
async fn until_calls_are_shared(cluster: &RedisCluster, limiter: &RateGuard) {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let before = calls(cluster, "evalsha");
        burst(limiter, &policy("shared", 1_000)).await;
        if (0..3).all(|node| calls(cluster, "evalsha")[node] == before[node] + 1) {
            return;
        }
        assert!(Instant::now() < patience, "a burst is a call for each slot");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An array of strings, as clients write commands.
fn command(from: &mut impl BufRead) -> Option<Vec<String>> {
    let mut number = |mark| {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let number = line.strip_prefix(mark)?.trim_end().parse::<usize>().ok()?;
        if mark == '*' {
            return Some((number, String::new()));
        }
        let mut text = vec![0; number + 2];
        from.read_exact(&mut text).ok()?;
        Some((number, String::from_utf8_lossy(&text).trim_end().to_owned()))
    };
    let (count, _) = number('*')?;
    (0..count).map(|_| number('$').map(|(_, text)| text)).collect()
}
