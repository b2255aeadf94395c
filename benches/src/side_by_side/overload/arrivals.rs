//! Checks that arrive at a fixed rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::checker::Checker;
use super::tally::Tally;

/// Starts checks at this rate, until it is stopped: how many, and for how long. On a thread of its own, no late answer delays
/// the next arrival.
pub(super) fn run(
    runtime: &Handle,
    checker: &Arc<Checker>,
    tally: &Arc<Tally>,
    stop: &AtomicBool,
    offered: u32,
) -> (u64, Duration) {
    // Otherwise the thread sleeps 50 µs longer than it should. Where this cannot be set, it does.
    let _ = std::fs::write("/proc/thread-self/timerslack_ns", "1");
    let began = Instant::now();
    let mut sent = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and far from the end")]
        let due = (began.elapsed().as_secs_f64() * f64::from(offered)) as u64;
        while sent < due {
            let (checker, tally, number) = (Arc::clone(checker), Arc::clone(tally), sent);
            runtime.spawn(async move {
                let start = Instant::now();
                let outcome = checker.check(number).await;
                tally.add(&outcome, start.elapsed());
            });
            sent += 1;
        }
        thread::sleep(Duration::from_micros(200));
    }
    (sent, began.elapsed())
}
