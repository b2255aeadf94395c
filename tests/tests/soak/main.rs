//! Load from 64 connections while faults are drawn at random: `./tests/run --soak [seconds] [seed]`, ten minutes by
//! default. At the end:
//!
//! - every answer was 200 or 429, whatever happened to the server;
//! - no key was allowed more than its limit in any window, but for those in which the server lost its memory and for
//!   what was allowed without being counted;
//! - memory, tasks and file descriptors are where they were, and 99 of 100 answers came within the deadline.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]
#![allow(clippy::indexing_slicing, reason = "the same")]

mod faults;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rateguard::{Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer};
use rateguard_tests::{Proxy, RedisServer, serve};

use faults::Faults;
use tally::{Allowed, Machine, Tally};

const CONNECTIONS: u64 = 64;
const KEYS: u64 = 15;
const LIMIT: u32 = 20;
const WINDOW: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_millis(100);
/// After this much, connections and caches are as they stay.
const WARM: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let seconds = numbers.next().unwrap_or(600);
    let seed = numbers.next().unwrap_or(20_261_124);
    println!("{seconds} seconds from seed {seed}");

    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let limiter = RateGuard::builder().redis(proxy.url()).deadline(DEADLINE).build().unwrap();
    let quota = Quota::sliding_window(LIMIT, WINDOW);
    let layer = RateLimitLayer::new(limiter.clone()).limit("soak", quota, KeyBy::header("x-key"));
    let address = serve(Router::new().route("/", get(|| async { "served" })).layer(layer)).await;

    let began = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|n| tokio::spawn(client(n, format!("http://{address}/"), began, Arc::clone(&stop))))
        .collect();

    let probe = tokio::spawn(checks_alone(limiter.clone(), Arc::clone(&stop)));
    tokio::time::sleep(WARM.min(Duration::from_secs(seconds / 4))).await;
    let before = Machine::now();
    let mut faults = Faults::new(server, proxy, seed, began);
    while began.elapsed() < Duration::from_secs(seconds) {
        faults.one().await;
    }
    // Long enough for the last of them to be over.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(limiter.ready().await.is_ok(), "well again: {:?}", limiter.ready().await);
    let after = Machine::now();
    stop.store(true, Ordering::Relaxed);
    let mut tally = Tally::default();
    for client in clients {
        tally.add(client.await.unwrap());
    }

    println!("faults: {}", faults.summary());
    println!("answers: {}", tally.summary());
    let (checks, late) = probe.await.unwrap();
    let late = late.percentile(0.99);
    println!("checks alone: {}", checks.summary());
    println!("the machine: 99 % of bare timers at most {late:?} late");
    println!("machine: {before} at first, {after} at the end");
    assert!(tally.counted > 0 && tally.denied > 0 && tally.uncounted > 0, "everything was met");
    // To the millisecond that timers have, and no closer than this machine keeps any timer.
    assert!(
        checks.percentile(0.99) <= DEADLINE + late + Duration::from_millis(2),
        "99 of 100 checks within the deadline"
    );
    let over = tally.over(LIMIT, WINDOW, faults.forgotten());
    assert_eq!(over, 0, "windows over the limit");
    assert!(after.descriptors <= before.descriptors + 16 && after.tasks <= before.tasks + 16);
    assert!(after.kilobytes <= before.kilobytes * 3 / 2 + tally.kilobytes() + 20_000, "memory grows");
    println!("no window over its limit");
}

/// What a check takes without the rest of a request, and how late a timer is that has nothing to do with the limiter.
async fn checks_alone(limiter: RateGuard, stop: Arc<AtomicBool>) -> (Tally, Tally) {
    const PAUSE: Duration = Duration::from_millis(20);
    let policy = Policy::new("alone", Quota::token_bucket(5, WINDOW));
    let (mut tally, mut late) = (Tally::default(), Tally::default());
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let decision = limiter.check(&policy, &Key::global()).await;
        tally.answered(start.elapsed());
        match (decision.allowed(), decision.degraded()) {
            (true, false) => tally.counted += 1,
            (true, true) => tally.uncounted += 1,
            (false, _) => tally.denied += 1,
        }
        let start = Instant::now();
        tokio::time::sleep(PAUSE).await;
        late.answered(start.elapsed().saturating_sub(PAUSE));
    }
    (tally, late)
}

async fn client(n: u64, url: String, began: Instant, stop: Arc<AtomicBool>) -> Tally {
    let http = reqwest::Client::new();
    let mut tally = Tally::default();
    let mut turn = n;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let key = (n * 7 + turn) % KEYS;
        let start = began.elapsed();
        let answer = http.get(&url).header("x-key", key.to_string()).send().await.expect("the server answers");
        let end = began.elapsed();
        tally.answered(end.saturating_sub(start));
        match (answer.status().as_u16(), answer.headers().contains_key("x-ratelimit-limit")) {
            (200, true) => tally.allowed(Allowed::new(key, start, end)),
            (200, false) => tally.uncounted += 1,
            (429, _) => tally.denied += 1,
            (other, _) => panic!("answered {other}"),
        }
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    tally
}
