//! A history of many processes that ask one store, and whether it keeps every limit:
//! `./tests/run --history [seconds] [seed] [redis|cluster]`, 60 seconds each of one Redis and of a cluster by default.
//!
//! Processes check, peek, reset, give back and change quotas, are killed and started again, and write down each call;
//! of the cluster, slots move meanwhile. Then every window of all their logs together is summed ([`rateguard_tests::history::checker`]). What a
//! store did not count is told apart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]
#![allow(clippy::indexing_slicing, reason = "the same")]

mod crowd;
mod plan;
mod worker;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use rateguard_tests::history::checker::{Counts, Findings, History};
use rateguard_tests::history::record::{self, now};
use rateguard_tests::{ALGORITHMS, RedisCluster, RedisServer};

use crowd::{Crowd, move_slots};
use plan::Planned;

const SECONDS: u64 = 60;
const SEED: u64 = 20_261_126;
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "worker") {
        let [url, log, seed, number, until] = &arguments[1..] else { panic!("worker URL LOG SEED NUMBER UNTIL") };
        let [seed, number, until] = [seed, number, until].map(|number| number.parse().expect("a number"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(worker::run(url, Path::new(log), seed, number, until));
        return;
    }
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse::<u64>().ok());
    let (seconds, seed) = (numbers.next().unwrap_or(SECONDS), numbers.next().unwrap_or(SEED));
    let stores: Vec<&str> =
        ["redis", "cluster"].into_iter().filter(|name| arguments.iter().any(|a| a == name)).collect();
    let stores = if stores.is_empty() { vec!["redis", "cluster"] } else { stores };
    let mut right = true;
    for store in stores {
        right &= one(store, seconds, seed);
    }
    assert!(right, "the history does not keep the limits");
}

/// Makes a history and checks it. Whether it keeps the limits.
fn one(store: &str, seconds: u64, seed: u64) -> bool {
    println!("\n{store}: {seconds} seconds from seed {seed}");
    let directory = tempfile::tempdir().expect("a directory for the logs");
    let run = |url: String| {
        let (wall, began) = (now(), Instant::now());
        let mut crowd = Crowd::new(url, directory.path(), seed, wall + seconds * 1_000_000);
        crowd.run();
        // The windows are measured by the wall clock, as the server's are.
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        assert!((now() - wall).abs_diff(took) < 100_000, "the wall clock was set meanwhile: run it again");
        println!("killed {} times; {} processes in all", crowd.kills, crowd.logs.len());
        assert!(crowd.kills > 0 || seconds < 10, "nothing was killed");
        std::mem::take(&mut crowd.logs)
    };
    let logs = if store == "redis" {
        let server = RedisServer::start();
        run(server.url())
    } else {
        let cluster = RedisCluster::start();
        let until = now() + seconds * 1_000_000;
        std::thread::scope(|scope| {
            let moving = scope.spawn(|| move_slots(&cluster, seed, until));
            let logs = run(cluster.url());
            let (slots, keys) = moving.join().expect("the slots move");
            println!("{slots} slots moved, with {keys} keys in them");
            logs
        })
    };
    let mut history = History::default();
    for log in logs {
        let text = std::fs::read_to_string(&log).expect("the log of a process");
        let (lines, unreadable) = record::read(&text);
        assert!(unreadable <= 1, "{unreadable} lines of a log cannot be read");
        history.add(&lines);
    }
    report(history)
}

fn report(mut history: History) -> bool {
    let policies = plan::policies();
    let mut by_algorithm: BTreeMap<&str, (Counts, Findings)> = BTreeMap::new();
    for (policy, counts) in &history.counts {
        let algorithm = policies[*policy].policy.quota().algorithm();
        by_algorithm.entry(algorithm.as_str()).or_default().0.add(counts);
    }
    for ((policy, user), key) in &mut history.keys {
        let Planned { policy, is_plain, .. } = &policies[*policy];
        let findings = key.check(policy.quota().algorithm(), *is_plain);
        for text in &findings.described {
            println!("VIOLATION of {}, user {user}: {text}", policy.name());
        }
        by_algorithm.entry(policy.quota().algorithm().as_str()).or_default().1.add(findings);
    }
    println!("{} changes of quotas", history.changes);
    println!(
        "{:<16}{:>9}{:>9}{:>9}{:>10}{:>8}{:>9}{:>11}{:>8}{:>8}{:>11}{:>12}{:>12}{:>12}",
        "",
        "checks",
        "allowed",
        "denied",
        "degraded",
        "peeks",
        "refunds",
        "give-backs",
        "resets",
        "failed",
        "unanswered",
        "windows",
        "full",
        "violations"
    );
    let (mut all, mut found) = (Counts::default(), Findings::default());
    for algorithm in ALGORITHMS {
        let (counts, findings) = by_algorithm.remove(algorithm.as_str()).unwrap_or_default();
        row(algorithm.as_str(), &counts, &findings);
        all.add(&counts);
        found.add(findings);
    }
    row("all", &all, &found);
    for wrong in history.wrong_quotas.iter().take(5) {
        println!("ANSWERED BY A QUOTA THAT WAS NOT IN FORCE: {wrong}");
    }
    assert!(found.full > 0, "no window was full: the limits were not reached");
    found.violations == 0 && history.wrong_quotas.is_empty()
}

fn row(name: &str, counts: &Counts, findings: &Findings) {
    println!(
        "{name:<16}{:>9}{:>9}{:>9}{:>10}{:>8}{:>9}{:>11}{:>8}{:>8}{:>11}{:>12}{:>12}{:>12}",
        counts.allowed + counts.denied + counts.degraded,
        counts.allowed,
        counts.denied,
        counts.degraded,
        counts.peeks,
        counts.refunds,
        counts.give_backs,
        counts.resets,
        counts.failed,
        counts.unanswered,
        findings.windows,
        findings.full,
        findings.violations
    );
}
