//! Can a client use up memory by changing its identity with each request? Ten million identities against a served app, in
//! memory and in Redis: the memory of the process and of the server, and whether a denied client stays denied.
//!
//! ```text
//! cargo run --release -p rateguard-benches --bin rotation [identities]
//! ```
#![allow(clippy::expect_used, reason = "a program that measures stops where it cannot")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer};
use rateguard_benches::process_group;
use rateguard_tests::{RedisServer, connected, serve};

const CONNECTIONS: u64 = 64;
/// Requests that a connection sends before it reads answers.
const AHEAD: u64 = 32;

fn main() {
    process_group::run(measure);
}

#[tokio::main]
async fn measure() {
    let identities = std::env::args().nth(1).map_or(10_000_000, |text| text.parse().expect("the number of identities"));
    println!("{identities} identities, one request each, limit 2 in 10 s, keyed by a header\n");
    println!(
        "| store | after | resident MiB | Redis keys | Redis MiB | of 100 denied clients, still denied | newcomers denied |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    flood("memory, at most 100 000 keys", identities, None, 100_000).await;
    flood("memory, at most 1 000 000 keys", identities, None, 1_000_000).await;
    let server = RedisServer::start();
    // Each request waits for the server, so fewer identities are used.
    flood("Redis", identities / 10, Some(server), 1_000_000).await;
}

async fn flood(name: &str, identities: u64, server: Option<RedisServer>, max_keys: usize) {
    let builder = RateGuard::builder().max_keys(max_keys);
    let limiter = match &server {
        Some(server) => connected(builder, server).await,
        None => builder.build().expect("a limiter"),
    };
    let quota = Quota::sliding_window(2, Duration::from_secs(10));
    let app = Router::new().route("/", get(|| async {})).layer(RateLimitLayer::new(limiter).limit(
        "by-key",
        quota,
        KeyBy::header("x-api-key"),
    ));
    let address = serve(app).await;
    let denied = Arc::new(AtomicU64::new(0));
    let steps = 4;
    for step in 0..steps {
        // A hundred clients that are already denied when the flood begins.
        let blocked = 1_000_000_000 + step * 1000..1_000_000_000 + step * 1000 + 100;
        for _ in 0..3 {
            let _ = ask(address, blocked.clone());
        }
        let part = identities / steps;
        let began = std::time::Instant::now();
        let mut still = 100;
        // In pieces of about a second, since a client's window is ten seconds.
        let piece = 100_000;
        let mut from = step * part;
        while from < (step + 1) * part {
            let to = (from + piece).min((step + 1) * part);
            let tasks: Vec<_> = (0..CONNECTIONS)
                .map(|n| {
                    let share = (to - from) / CONNECTIONS;
                    let range = from + n * share..from + (n + 1) * share;
                    let denied = Arc::clone(&denied);
                    tokio::task::spawn_blocking(move || denied.fetch_add(ask(address, range), Ordering::Relaxed))
                })
                .collect();
            for task in tasks {
                task.await.expect("a connection");
            }
            from = to;
            if began.elapsed() < Duration::from_secs(8) {
                still = ask(address, blocked.clone());
            }
        }
        let (keys, bytes) = server.as_ref().map_or(("–".to_owned(), "–".to_owned()), |server| {
            let info: String = server.command(&["INFO", "memory"]);
            let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("its memory");
            let mib = used.trim().parse::<u64>().expect("a number") / 1_048_576;
            (server.command::<u64>(&["DBSIZE"]).to_string(), mib.to_string())
        });
        println!(
            "| {name} | {} | {} | {keys} | {bytes} | {still} | {} |",
            (step + 1) * part,
            resident_mib(),
            denied.load(Ordering::Relaxed)
        );
    }
}

/// Sends one request for each number. Returns how many were denied.
fn ask(address: SocketAddr, identities: std::ops::Range<u64>) -> u64 {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut denied = 0;
    let mut identities = identities.peekable();
    let mut buffer = vec![0; 64 * 1024];
    while identities.peek().is_some() {
        let mut requests = String::new();
        let mut waiting = 0;
        for identity in identities.by_ref().take(usize::try_from(AHEAD).expect("small")) {
            requests.push_str("GET / HTTP/1.1\r\nhost: x\r\nx-api-key: key-");
            requests.push_str(&identity.to_string());
            requests.push_str("\r\n\r\n");
            waiting += 1;
        }
        stream.write_all(requests.as_bytes()).expect("sent");
        let mut answered = String::new();
        while answered.matches("HTTP/1.1 ").count() < waiting || !answered.ends_with(['\n', '}']) {
            let read = stream.read(&mut buffer).expect("an answer");
            assert!(read > 0, "the server closed the connection");
            answered.push_str(&String::from_utf8_lossy(buffer.get(..read).expect("what was read")));
        }
        denied += answered.matches("HTTP/1.1 429").count() as u64;
    }
    denied
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") / 1024
}
