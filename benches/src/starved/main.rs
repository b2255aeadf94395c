//! Handlers that block their thread, as a password hash does: how many requests are allowed, although the limit is five per
//! minute and Redis is healthy.
//!
//! ```text
//! cargo run --release -p rateguard-benches --bin starved
//! cargo run --release -p rateguard-benches --bin starved -- --only burst --rounds 1
//! ```
//!
//! The clients are threads with blocking sockets, so that only the program starves, and never its clients.
#![allow(clippy::expect_used, reason = "a program that measures stops where it cannot")]

mod app;
mod arguments;

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rateguard::{Key, Policy, Quota, RateGuard};
use rateguard_benches::process_group;
use rateguard_tests::RedisServer;

use app::{App, BLOCK, current_thread};
use arguments::Arguments;

const LIMIT: u32 = 5;
fn main() {
    let arguments = Arguments::read();
    process_group::run(|| measure(&arguments));
}

fn measure(arguments: &Arguments) {
    println!(
        "limit {LIMIT} per minute, Redis healthy, defaults, `Open`. Handlers that ran: the most of all rounds (each round)\n"
    );
    if arguments.wants("burst") {
        burst(arguments);
    }
    if arguments.wants("client") {
        one_client(arguments);
    }
    if arguments.wants("addresses") {
        addresses(arguments);
    }
    if arguments.wants("owner") {
        owner_blocks(arguments);
    }
}

/// Many simultaneous requests.
fn burst(arguments: &Arguments) {
    let columns: Vec<String> = arguments
        .block
        .iter()
        .flat_map(|ms| arguments.requests.iter().map(move |n| format!("{n} × {ms} ms")))
        .collect();
    println!("## Simultaneous requests, {LIMIT} allowed\n\n| runtime | {} |", columns.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len()));
    for &workers in &arguments.workers {
        let mut cells = Vec::new();
        for &block in &arguments.block {
            for &requests in &arguments.requests {
                let ran = (0..arguments.rounds).map(|_| {
                    BLOCK.store(block, Ordering::SeqCst);
                    let app = App::start(workers, true);
                    let (ran, statuses) = app.all_at_once(requests);
                    let others = statuses.iter().filter(|status| !matches!(status, 200 | 429)).count();
                    eprintln!(
                        "{workers} workers, {requests} × {block} ms: {ran} ran, {others} answers other than 200 and 429"
                    );
                    ran
                });
                cells.push(shown(ran));
            }
        }
        println!("| {} | {} |", name(workers), cells.join(" | "));
    }
}

/// One client with 32 connections. Each asks again as soon as it is answered.
fn one_client(arguments: &Arguments) {
    println!("\n## One client with 32 connections for 6 s, a current-thread runtime, {LIMIT} allowed\n");
    println!("| a handler blocks | in memory | Redis |\n|---:|---:|---:|");
    for block in [20, 60, 150] {
        let cells = [false, true].map(|shared| {
            shown((0..arguments.rounds).map(|_| {
                BLOCK.store(block, Ordering::SeqCst);
                let ran = App::start(0, shared).closed_loop("/", &[Ipv4Addr::LOCALHOST; 32], 6);
                eprintln!("one client, {block} ms, Redis: {shared}: {ran} ran");
                ran
            }))
        });
        println!("| {block} ms | {} |", cells.join(" | "));
    }
}

/// Eight addresses with four connections each.
fn addresses(arguments: &Arguments) {
    println!("\n## 32 connections from 8 addresses for 8 s, a handler blocks 120 ms, {} allowed\n", 8 * LIMIT);
    println!("| runtime | in memory | Redis |\n|---|---:|---:|");
    let from: Vec<Ipv4Addr> = (0..32).map(|n| Ipv4Addr::new(127, 0, 0, 2 + n % 8)).collect();
    for workers in [1, 2] {
        let cells = [false, true].map(|shared| {
            shown((0..arguments.rounds).map(|_| {
                BLOCK.store(120, Ordering::SeqCst);
                let ran = App::start(workers, shared).closed_loop("/by-address", &from, 8);
                eprintln!("8 addresses, {workers} workers, Redis: {shared}: {ran} ran");
                ran
            }))
        });
        println!("| {} | {} |", name(workers), cells.join(" | "));
    }
}

/// Several current-thread runtimes share a limiter. The runtime of the limiter's task blocks, and another runtime checks.
fn owner_blocks(arguments: &Arguments) {
    println!("\n## A limiter shared by current-thread runtimes, whose owner blocks; 6 checks from another runtime\n");
    println!("| the owner blocks | degraded, of 6 | slowest check |\n|---|---:|---:|");
    for (block, name) in [(60, "60 ms at a time"), (150, "150 ms at a time"), (5000, "for 5 s")] {
        let mut degraded = Vec::new();
        let mut slowest = Duration::ZERO;
        for _ in 0..arguments.rounds {
            let (count, took) = checks_from_another_runtime(Duration::from_millis(block));
            eprintln!("the owner blocks {name}: {count} of 6 degraded, {took:?}");
            degraded.push(count);
            slowest = slowest.max(took);
        }
        println!("| {name} | {} | {} ms |", shown(degraded.into_iter()), slowest.as_millis());
    }
}

fn checks_from_another_runtime(block: Duration) -> (u32, Duration) {
    let server = RedisServer::start();
    let url = server.url();
    let (made, limiter) = std::sync::mpsc::channel();
    let owner = thread::spawn(move || {
        current_thread().block_on(async {
            let limiter = RateGuard::redis(url).expect("a limiter");
            while limiter.ready().await.is_err() {}
            let _ = made.send(limiter);
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                thread::sleep(block);
                // Lets the runtime handle what has arrived, as between two requests.
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            }
        });
    });
    let limiter = limiter.recv().expect("the limiter");
    // By now, the owner blocks.
    thread::sleep(Duration::from_millis(20));
    let policy = Policy::new("shared", Quota::sliding_window(LIMIT, Duration::from_secs(60)));
    let (mut degraded, mut slowest) = (0, Duration::ZERO);
    current_thread().block_on(async {
        for n in 0..6 {
            let start = Instant::now();
            degraded += u32::from(limiter.check(&policy, &Key::user(n)).await.degraded());
            slowest = slowest.max(start.elapsed());
        }
    });
    owner.join().expect("the owner");
    (degraded, slowest)
}

fn name(workers: usize) -> String {
    match workers {
        0 => "current thread".to_owned(),
        1 => "1 worker".to_owned(),
        many => format!("{many} workers"),
    }
}

fn shown(ran: impl Iterator<Item = u32>) -> String {
    let ran: Vec<u32> = ran.collect();
    let each: Vec<String> = ran.iter().map(ToString::to_string).collect();
    let most = ran.iter().max().copied().unwrap_or_default();
    format!("{most} ({})", each.join(" "))
}
