//! Load while faults are drawn at random, ten minutes on each deployment:
//! `./tests/run --soak [one|sentinel|cluster|upstash|all] [seconds] [seed]`. A seed gives the same faults in the same order.
//!
//! All the time, and at the end:
//!
//! - every answer over HTTP was 200 or 429, and nothing panicked;
//! - what the store counted was never more than the limit in a window, but for those in which the server may have lost its
//!   memory; nor was what this process counted for it, and it denied only clients that had used a full quota here;
//! - each check was answered within the deadline and a little, but for the time in which its own thread had no time;
//! - after each fault, limits are enforced again within seconds, and every key in the store has a lifetime;
//! - memory, tasks and file descriptors are where they were.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so"
)]

mod deployment;
mod faults;
mod load;
mod machine;
mod notes;
mod random;
mod stalls;
mod sums;
mod verdict;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use deployment::{Deployment, Kind};
use faults::Fault;
use load::{Load, OVERLOAD_LIMIT};
use machine::Machine;
use random::Random;
use verdict::Verdict;

const SECONDS: u64 = 600;
const SEED: u64 = 20_261_124;
/// After this much, connections and caches are as they stay.
const WARM: Duration = Duration::from_secs(20);

static PANICS: AtomicU32 = AtomicU32::new(0);

fn main() -> ExitCode {
    let (mut kinds, mut numbers) = (Vec::new(), Vec::new());
    for argument in std::env::args().skip(1) {
        match (Kind::ALL.iter().find(|kind| kind.name() == argument), argument.parse::<u64>()) {
            (Some(kind), _) => kinds.push(*kind),
            (None, Ok(number)) if numbers.len() < 2 => numbers.push(number),
            _ if argument == "all" => kinds.extend(Kind::ALL),
            _ => {
                eprintln!("There is no {argument}. Usage: --soak [one|sentinel|cluster|upstash|all] [seconds] [seed]");
                return ExitCode::from(2);
            }
        }
    }
    if kinds.is_empty() {
        kinds.extend(Kind::ALL);
    }
    let (seconds, seed) = (numbers.first().copied().unwrap_or(SECONDS), numbers.get(1).copied().unwrap_or(SEED));
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |what| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(what);
    }));
    let mut failed = Vec::new();
    for kind in kinds {
        if !soak(kind, Duration::from_secs(seconds), seed) {
            failed.push(kind.name());
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nFAILED: {}", failed.join(", "));
    ExitCode::FAILURE
}

/// Whether everything held.
fn soak(kind: Kind, lasts: Duration, seed: u64) -> bool {
    println!("\n== {}: {} seconds from seed {seed}", kind.name(), lasts.as_secs());
    PANICS.store(0, Ordering::Relaxed);
    let mut deployment = Deployment::start(kind);
    let load = Load::start(deployment.builder());
    let began = Instant::now();
    std::thread::sleep(WARM.min(lasts / 4));
    load.recovers(kind.patience()).expect("reached at the start");
    let before = Machine::now(load.app());

    let mut verdict = Verdict::default();
    let mut order = Fault::order(kind, seed);
    let mut turn = 0;
    while began.elapsed() < lasts {
        let mut random = Random::new(seed.wrapping_add(turn));
        let fault = order.next().expect("an endless order");
        turn += 1;
        std::thread::sleep(Duration::from_millis(500 + random.below(1500)));
        let length = fault.duration(kind, &mut random);
        let start = load.notes.now();
        load.notes.begin(fault.name());
        let left = lasts.saturating_sub(began.elapsed()).as_secs();
        print!("{left:>4} s left  {:<18} {length:>7.1?}  ", fault.name());
        let _ = std::io::stdout().flush();
        let masters = deployment.master_ports();
        fault.make(&mut deployment, &load, length, &mut random);
        let recovery = load.recovers(kind.patience());
        let settled = deployment.settle();
        let most = load.most_in_an_overload();
        if fault.loses_counts(kind, length) || deployment.master_ports() != masters {
            load.notes.forgotten(start);
        } else {
            // As many in the store, and as many here.
            let bound = 2 * OVERLOAD_LIMIT;
            verdict.expect(most <= bound, || format!("a client was allowed {most} in an overload, at most {bound}"));
        }
        let stays = load.recovers(kind.patience()).is_some();
        let immortal = deployment.keys_without_ttl();
        let sums = load.notes.end(recovery.unwrap_or(kind.patience()));
        let back = recovery.map_or("NOT COUNTED AGAIN".to_owned(), |took| format!("counted again {took:.1?} later"));
        println!("{back}; {sums}");
        verdict.expect(recovery.is_some() && stays, || format!("{}: nothing is counted again", fault.name()));
        verdict.expect(settled, || format!("{}: the servers do not come to rest", fault.name()));
        verdict.expect(immortal == 0, || format!("{}: {immortal} keys without a lifetime", fault.name()));
        deployment.forget_what_was_asked();
    }
    std::thread::sleep(Duration::from_secs(3));
    let after = Machine::now(load.app());
    let notes = Arc::clone(&load.notes);
    load.stop();
    println!("\n{}", notes.table());
    println!("machine: {before} at first, {after} at the end");
    verdict.expect(after.descriptors <= before.descriptors + 40, || "file descriptors are lost".to_owned());
    verdict.expect(after.tasks <= before.tasks + 40, || "tasks are left behind".to_owned());
    let most = before.kilobytes * 3 / 2 + notes.kilobytes() + 30_000;
    verdict.expect(after.kilobytes <= most, || format!("memory grows to more than {} MB", most / 1024));
    let panics = PANICS.load(Ordering::Relaxed);
    verdict.expect(panics == 0, || format!("{panics} panics"));
    notes.judge(&mut verdict);
    verdict.print()
}
