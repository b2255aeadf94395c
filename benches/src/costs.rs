//! What each algorithm costs Redis: bytes a hit by limit, and microseconds a check.
//!
//! ```text
//! cargo run --release -p rateguard-benches --bin costs
//! ```
#![allow(clippy::expect_used, reason = "a program that measures stops where it cannot")]

use std::time::Duration;

use rateguard::{Key, Policy, Quota, RateGuard};
use rateguard_tests::{RedisServer, connected};

const HOUR: Duration = Duration::from_secs(3600);
const LIMITS: [u32; 6] = [10, 100, 128, 129, 1000, 10_000];
/// Clients that fill their quota, so that sizes are averages.
const CLIENTS: u32 = 20;

type Make = fn(u32, Duration) -> Quota;

#[tokio::main]
async fn main() {
    let rules: [(&str, Make, bool); 5] = [
        ("sliding_window", Quota::sliding_window, false),
        ("sliding_window, compact", Quota::sliding_window, true),
        ("sliding_counter", Quota::sliding_counter, false),
        ("fixed_window", Quota::fixed_window, false),
        ("token_bucket", Quota::token_bucket, false),
    ];

    println!("Bytes of a client that has used all of its quota, one unit a check (MEMORY USAGE), and bytes a hit:\n");
    println!("| algorithm | {} |", LIMITS.map(|limit| limit.to_string()).join(" | "));
    println!("|---|{}", "---:|".repeat(LIMITS.len()));
    for (name, make, compact) in rules {
        let server = RedisServer::start();
        let limiter = connected(RateGuard::builder().compact_log(compact), &server).await;
        let mut cells = Vec::new();
        for limit in LIMITS {
            let policy = Policy::try_new(format!("p{limit}"), make(limit, HOUR)).expect("a name");
            let clients = if limit > 1000 { 2 } else { CLIENTS };
            let mut bytes = 0;
            for client in 0..clients {
                let key = Key::user(client);
                for _ in 0..limit {
                    assert!(limiter.check(&policy, &key).await.allowed());
                }
            }
            for key in server.keys().iter().filter(|key| key.contains(&format!(":p{limit}:"))) {
                bytes += server.command::<u64>(&["MEMORY", "USAGE", key, "SAMPLES", "0"]);
            }
            let each = bytes / u64::from(clients);
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            cells.push(format!("{each} ({:.1})", each as f64 / f64::from(limit)));
        }
        println!("| {name} | {} |", cells.join(" | "));
    }

    println!("\nMicroseconds of Redis' own time a check (commandstats of EVALSHA), one check a call:\n");
    println!("| algorithm | limit | admitted | refused |\n|---|---:|---:|---:|");
    for (name, make, compact) in rules {
        for limit in [100, 300, 10_000] {
            let server = RedisServer::start();
            let limiter = connected(RateGuard::builder().compact_log(compact), &server).await;
            let policy = Policy::new("p", make(limit, HOUR));
            let mut cells = Vec::new();
            for spent in [false, true] {
                if spent {
                    let left = limiter.peek(&policy, &Key::global()).await.expect("an answer").remaining();
                    let _ = limiter.check_cost(&policy, &Key::global(), left).await;
                }
                let _: String = server.command(&["CONFIG", "RESETSTAT"]);
                for client in 0..10_000_u32 {
                    // Half of the quota of some clients, or what one client has no more of.
                    let key = if spent { Key::global() } else { Key::user(client % (20_000 / limit).max(2)) };
                    let decision = limiter.check(&policy, &key).await;
                    // A bucket gets tokens back meanwhile.
                    assert!(decision.allowed() || spent);
                }
                cells.push(micros_a_call(&server));
            }
            println!("| {name} | {limit} | {} |", cells.join(" | "));
        }
    }
}

fn micros_a_call(server: &RedisServer) -> String {
    let info: String = server.command(&["INFO", "commandstats"]);
    let line = info.lines().find(|line| line.starts_with("cmdstat_evalsha:")).expect("checks were made");
    line.split(',').find_map(|part| part.strip_prefix("usec_per_call=")).expect("their time").to_owned()
}
