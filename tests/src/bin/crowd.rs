//! One of many processes that press on a few keys: what it was allowed, it prints.
//!
//! Arguments: the server's URL, the policy's limit and window in milliseconds, and for how many milliseconds to go on.
//! Each line: key, and the wall clock in microseconds before and after the check.
#![allow(clippy::expect_used, missing_docs, reason = "a test's own program: what it cannot do, it says")]

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rateguard::{Key, Policy, Quota, RateGuard};
use tokio::task::JoinSet;

const TASKS: u64 = 32;
const KEYS: u64 = 5;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, limit, window, lasts] = arguments.as_slice() else {
        eprintln!("usage: crowd URL LIMIT WINDOW_MS LASTS_MS");
        std::process::exit(2);
    };
    let limit = limit.parse().expect("a limit");
    let window = Duration::from_millis(window.parse().expect("a window"));
    let lasts = Duration::from_millis(lasts.parse().expect("a time"));
    let policy = Policy::new("crowd", Quota::sliding_window(limit, window));
    // Every check is to be counted by Redis, and these tasks rest only while it is asked.
    let builder = RateGuard::builder().redis(url).deny_cache(Duration::ZERO);
    let limiter = builder.deadline(Duration::from_secs(30)).build().expect("a limiter");
    limiter.ready().await.expect("the server answers");

    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (limiter, policy) = (limiter.clone(), policy.clone());
        tasks.spawn(async move {
            let mut log = String::new();
            let mut turn = task;
            while start.elapsed() < lasts {
                let number = turn % KEYS;
                turn += 1;
                let before = micros();
                let decision = limiter.check(&policy, &Key::new("hot", number)).await;
                assert!(!decision.degraded(), "{:?}", decision.degraded_reason());
                if decision.allowed() {
                    writeln!(log, "{number} {before} {}", micros()).expect("a string takes it");
                }
            }
            log
        });
    }
    print!("{}", tasks.join_all().await.concat());
}

fn micros() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_micros()
}
