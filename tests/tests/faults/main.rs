//! Every fault that is known to happen to a Redis or the way to it, made with real processes, and what must hold in
//! each:
//!
//! - L: every check answers within the deadline plus a little.
//! - O: what Redis does not count is marked as degraded. While Redis is known to be away, all of it is allowed (the policy
//!   here is `open`); else it is counted in this process, and denied only to a client that has used a full quota here.
//! - X: a check is executed at most once.
//! - R: limits are enforced again within seconds of the cure, without a restart.
//! - W: nobody waits longer than a window.
//! - T: every key has a lifetime, and it is bounded.
//! - B: tasks and connects are bounded.
//!
//! `./tests/run --faults` runs them one after the other and prints what was measured; a word after it runs those rows
//! that have the word in their name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]
#![allow(clippy::indexing_slicing, reason = "the same")]

mod clients;
mod cluster;
mod keys;
mod load;
mod network;
mod outages;
mod refusals;
mod sentinel;
mod watch;

use std::pin::Pin;
use std::process::ExitCode;

use watch::Watch;

type Row = (&'static str, fn(&'static Watch) -> Pin<Box<dyn Future<Output = ()>>>);

macro_rules! rows {
    ($($name:literal: $run:path,)*) => {
        &[$(($name, |watch| Box::pin($run(watch)))),*]
    };
}

const ROWS: &[Row] = rows![
    "killed under load": outages::killed_under_load,
    "refused at start": outages::refused_at_start,
    "hang (SIGSTOP)": outages::hang,
    "slow (CLIENT PAUSE)": outages::slow,
    "restart under 200 limiters": outages::storm,
    "clients at their maximum": outages::max_clients,
    "wrong password, later corrected": refusals::password,
    "access rules deny EVALSHA": refusals::acl_evalsha,
    "access rules deny a command inside": refusals::acl_inside,
    "out of memory": refusals::out_of_memory,
    "cannot save (MISCONF)": refusals::misconf,
    "too few replicas (NOREPLICAS)": refusals::no_replicas,
    "busy with a script": refusals::busy,
    "loading": refusals::loading,
    "read-only without a disconnect": refusals::read_only,
    "Sentinel: failover by hand": sentinel::by_hand,
    "Sentinel: master killed": sentinel::killed,
    "cluster: slots moving": cluster::migrating,
    "cluster: failover by hand": cluster::failover_by_hand,
    "cluster: node lost": cluster::node_lost,
    "cluster: node hangs": cluster::node_hangs,
    "SCRIPT FLUSH under load": keys::script_flush,
    "FLUSHALL and eviction": keys::flushed,
    "another type under our key, TTL removed": keys::foreign_and_immortal,
    "poisoned keys": keys::poisoned,
    "server's clock one hour off": keys::clock,
    "answers lost after execution": network::answers_lost,
    "answers cut in the middle": network::answers_halved,
    "answers garbled": network::garbled,
    "cable pulled, by a proxy": network::silence,
    "half-open TCP, by a network namespace": network::half_open,
    "clients hang up at any await": clients::hang_up,
    "runtime shut down in the middle": clients::runtime_gone,
    "1 MB headers, and bytes that are no text": clients::odd_headers,
    "app starved by its handlers": load::starved_app,
    "runtimes that share a limiter, one blocks": load::shared_by_runtimes,
    "overload over a slow network": load::overload,
    "Redis full of rotating clients": load::full_redis,
    "memory store full of denied clients": load::full_memory,
];

fn main() -> ExitCode {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    watch::watch_the_machine();
    let mut table = String::new();
    let mut failed = false;
    for (name, run) in ROWS.iter().filter(|(name, _)| name.contains(&wanted)) {
        eprintln!("{name} …");
        let watch: &'static Watch = Box::leak(Box::default());
        // A runtime and a thread of its own, so that what one row leaves behind is not the next one's.
        let row = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(run(watch));
        });
        let passed = row.join().is_ok();
        failed |= !passed;
        table.push_str(&watch.line(name, passed));
    }
    println!("\n{:<40} {:>12} {:>12} {:>9}   what else was seen", "fault", "worst check", "machine", "recovery");
    print!("{table}");
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
