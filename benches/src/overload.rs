//! What happens when there are more checks than Redis, or the network path to it, can answer: how many are answered in time,
//! and how many are charged in vain.
//!
//! ```text
//! cargo run --release -p rateguard-benches --bin overload
//! cargo run --release -p rateguard-benches --bin overload -- --delay 1,3 --offered 20000 --seconds 1
//! ```
//!
//! Checks arrive at a fixed rate, and no check waits for another (open loop). Redis is behind a proxy that delays each reply by
//! a fixed time and limits nothing else. The limit is never reached.
#![allow(clippy::expect_used, reason = "a program that measures stops where it cannot")]
#![allow(clippy::cast_precision_loss, reason = "numbers that are shown")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rateguard::{Key, Policy, Quota, RateGuard};
use rateguard_tests::{DelayLine, RedisServer, connected};
use tokio::runtime::{Builder, Handle};

const LIMIT: u32 = 100;
const DEADLINE: Duration = Duration::from_millis(100);
const HELP: &str = "\
More checks than can be answered.

    cargo run --release -p rateguard-benches --bin overload -- [options]

    --delay A,B      milliseconds by which each reply of Redis is delayed (0.1,1,3,10,20)
    --offered A,B    checks that arrive per second (5000,10000,20000,40000,100000,200000)
    --seconds N      seconds per cell (2)
    --clients N      number of identities, at least (10000)
    --workers N      worker threads of the program's runtime (2)";

struct Arguments {
    delays: Vec<f64>,
    offered: Vec<u32>,
    seconds: f64,
    clients: u32,
    workers: usize,
}

fn main() {
    let arguments = Arguments::read();
    println!(
        "limit {LIMIT} in 60 s (sliding window, never reached), deadline {} ms, {} s per cell, {} worker threads, {} identities or more\n",
        DEADLINE.as_millis(),
        arguments.seconds,
        arguments.workers,
        arguments.clients
    );
    println!(
        "| reply delayed by | offered | arrived | in time | degraded | by reason | p50 | p99 | slowest | charged in vain | \
         Redis' core |"
    );
    println!("|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|");
    let mut rows = Vec::new();
    for delay in &arguments.delays {
        let cells: Vec<Cell> = arguments.offered.iter().map(|offered| measure(&arguments, *delay, *offered)).collect();
        rows.push((delay, cells));
    }
    println!("\nAnswered in time per second (share of the checks that arrived):\n");
    let offered: Vec<String> = arguments.offered.iter().map(|offered| format!("{offered}/s")).collect();
    println!("| delay | {} |", offered.join(" | "));
    println!("|---:|{}", "---:|".repeat(offered.len()));
    for (delay, cells) in rows {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| format!("{:.0} ({:.0} %)", cell.in_time, 100.0 * cell.in_time / cell.arrived.max(1.0)))
            .collect();
        println!("| {delay} ms | {} |", cells.join(" | "));
    }
}

/// What was measured. Rates are per second.
struct Cell {
    arrived: f64,
    in_time: f64,
}

#[derive(Default)]
struct Tally {
    counted: AtomicU64,
    done: AtomicU64,
    degraded: Mutex<BTreeMap<&'static str, u64>>,
    took: Histogram,
}

/// How long checks took, in steps of 20 µs.
struct Histogram(Vec<AtomicU64>);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram((0..=100_000).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Histogram {
    fn add(&self, took: Duration) {
        let at = usize::try_from(took.as_micros() / 20).unwrap_or(usize::MAX).min(self.0.len() - 1);
        if let Some(count) = self.0.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// In milliseconds.
    fn quantile(&self, share: f64) -> f64 {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen as f64 >= share * all as f64
        };
        counts.iter().position(reached).map_or(0.0, |at| (at + 1) as f64 * 0.02)
    }
}

fn measure(arguments: &Arguments, delay: f64, offered: u32) -> Cell {
    let server = RedisServer::start();
    let line = DelayLine::start(server.port(), Duration::from_secs_f64(delay / 1000.0));
    let runtime = Builder::new_multi_thread().worker_threads(arguments.workers).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let policy = Policy::new("overload", Quota::sliding_window(LIMIT, Duration::from_secs(60)));
    // So many that no client comes near the limit.
    let needed = f64::from(offered) * (arguments.seconds + WARM_UP.as_secs_f64()) / f64::from(LIMIT / 2);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of clients")]
    let clients = arguments.clients.max(needed as u32);
    let keys: Arc<[Key]> = (0..clients).map(Key::user).collect();
    let limiter = runtime.block_on(async {
        let limiter = RateGuard::builder().redis(line.url()).deadline(DEADLINE).build().expect("a limiter");
        while limiter.ready().await.is_err() {}
        // Warms up the code and the connection.
        for key in keys.iter().take(200) {
            let _ = limiter.check(&policy, key).await;
        }
        limiter
    });
    let tally = Arc::new(Tally::default());
    let before = runtime.block_on(charged(&server, &policy, &keys));
    let busy = cpu(&server);

    let stop = Arc::new(AtomicBool::new(false));
    let load = {
        let (handle, tally, stop) = (runtime.handle().clone(), Arc::clone(&tally), Arc::clone(&stop));
        let (limiter, policy, keys) = (limiter.clone(), policy.clone(), Arc::clone(&keys));
        let one = move |n| (limiter.clone(), policy.clone(), Arc::clone(&keys), n);
        thread::spawn(move || arrive(&handle, &tally, &stop, offered, one))
    };
    thread::sleep(WARM_UP);
    let (began, first) = (Instant::now(), tally.counted.load(Ordering::Relaxed));
    thread::sleep(Duration::from_secs_f64(arguments.seconds));
    let (in_time, lasted) = (tally.counted.load(Ordering::Relaxed) - first, began.elapsed().as_secs_f64());
    let busy = (cpu(&server) - busy) / (lasted + WARM_UP.as_secs_f64());
    stop.store(true, Ordering::Relaxed);
    let (sent, sending) = load.join().expect("the arrivals");
    let patience = Instant::now() + Duration::from_secs(60);
    while tally.done.load(Ordering::Relaxed) < sent && Instant::now() < patience {
        thread::sleep(Duration::from_millis(5));
    }
    // Checks that were sent to Redis and not answered have run there, or will still run.
    thread::sleep(Duration::from_millis(200));
    let charged = runtime.block_on(charged(&server, &policy, &keys)) - before;
    let counted = tally.counted.load(Ordering::Relaxed);
    drop(limiter);
    runtime.shutdown_timeout(Duration::from_secs(5));

    let degraded = tally.degraded.lock().unwrap_or_else(PoisonError::into_inner);
    let share = |count: u64| 100.0 * count as f64 / sent.max(1) as f64;
    let reasons: Vec<String> = degraded.iter().map(|(name, count)| format!("{name} {:.1} %", share(*count))).collect();
    let cell = Cell { arrived: sent as f64 / sending.as_secs_f64(), in_time: in_time as f64 / lasted };
    let unanswered = sent - tally.done.load(Ordering::Relaxed);
    let hung = if unanswered > 0 { format!(", {unanswered} never answered") } else { String::new() };
    println!(
        "| {delay} ms | {offered} | {:.0} | {:.0} | {:.1} % | {}{hung} | {:.2} ms | {:.1} ms | {:.1} ms | {} ({:.0} %) | {:.0} % |",
        cell.arrived,
        cell.in_time,
        share(degraded.values().sum()),
        reasons.join(", "),
        tally.took.quantile(0.5),
        tally.took.quantile(0.99),
        tally.took.quantile(1.0),
        i64::try_from(charged).unwrap_or(i64::MAX) - i64::try_from(counted).unwrap_or(i64::MAX),
        100.0 * (charged as f64 - counted as f64) / (charged.max(1) as f64),
        100.0 * busy
    );
    cell
}

/// Not measured: the time until the queue has its full length.
const WARM_UP: Duration = Duration::from_millis(500);

type One = (RateGuard, Policy, Arc<[Key]>, u64);

/// Starts checks at this rate from a separate thread, so that no late answer delays the next arrival.
fn arrive(
    runtime: &Handle,
    tally: &Arc<Tally>,
    stop: &AtomicBool,
    offered: u32,
    one: impl Fn(u64) -> One,
) -> (u64, Duration) {
    let _ = std::fs::write("/proc/thread-self/timerslack_ns", "1");
    let began = Instant::now();
    let mut sent = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and far from the end")]
        let due = (began.elapsed().as_secs_f64() * f64::from(offered)) as u64;
        while sent < due {
            let (limiter, policy, keys, n) = one(sent);
            let tally = Arc::clone(tally);
            runtime.spawn(async move {
                let at = usize::try_from(n.wrapping_mul(7919) % keys.len() as u64).unwrap_or(0);
                if let Some(key) = keys.get(at) {
                    let start = Instant::now();
                    let decision = limiter.check(&policy, key).await;
                    tally.took.add(start.elapsed());
                    match decision.degraded_reason() {
                        None => {
                            tally.counted.fetch_add(1, Ordering::Relaxed);
                        }
                        Some(reason) => {
                            let mut degraded = tally.degraded.lock().unwrap_or_else(PoisonError::into_inner);
                            *degraded.entry(reason.as_str()).or_default() += 1;
                        }
                    }
                }
                tally.done.fetch_add(1, Ordering::Relaxed);
            });
            sent += 1;
        }
        thread::sleep(Duration::from_micros(200));
    }
    (sent, began.elapsed())
}

/// The units that Redis has counted.
async fn charged(server: &RedisServer, policy: &Policy, keys: &[Key]) -> u64 {
    let patient = connected(RateGuard::builder(), server).await;
    let mut units = 0;
    for some in keys.chunks(256) {
        for seen in join_all(some.iter().map(|key| patient.peek(policy, key))).await {
            units += u64::from(LIMIT - seen.expect("Redis answers").remaining());
        }
    }
    units
}

/// CPU seconds that the server has used.
fn cpu(server: &RedisServer) -> f64 {
    let info: String = server.command(&["INFO", "cpu"]);
    let number = |name: &str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|text| text.trim().parse().ok()).expect("a number")
    };
    number("used_cpu_user") + number("used_cpu_sys")
}

impl Arguments {
    fn read() -> Arguments {
        let mut arguments = Arguments {
            delays: vec![0.1, 1.0, 3.0, 10.0, 20.0],
            offered: vec![5_000, 10_000, 20_000, 40_000, 100_000, 200_000],
            seconds: 2.0,
            clients: 10_000,
            workers: 2,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| stop(&format!("{word} needs a value")));
            match word.as_str() {
                "--delay" => arguments.delays = numbers(&value()),
                "--offered" => arguments.offered = numbers(&value()),
                "--seconds" => arguments.seconds = number(&value()),
                "--clients" => arguments.clients = number(&value()),
                "--workers" => arguments.workers = number(&value()),
                "--help" | "-h" => stop(HELP),
                other => stop(&format!("unknown option {other}\n\n{HELP}")),
            }
        }
        arguments
    }
}

fn numbers<T: std::str::FromStr>(text: &str) -> Vec<T> {
    text.split(',').map(number).collect()
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.trim().parse().unwrap_or_else(|_| stop(&format!("{text} is not a valid number here")))
}

fn stop(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(2)
}
