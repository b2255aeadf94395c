//! Checks against a Redis server that is made up: everything but the server's own work and the kernel's is counted.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use rateguard::{Check, Key, Policy, Quota, RateGuard};
use tokio::runtime;

use crate::server::{self, Server};
use crate::{Operation, Steps};

const MINUTE: Duration = Duration::from_secs(60);
static SEARCH: Policy = Policy::new("search", Quota::sliding_window(100, MINUTE));
static BURSTS: Policy = Policy::new("bursts", Quota::sliding_window(10, Duration::from_secs(1)));
/// The made-up server knows it by its name.
static DENIED: Policy = Policy::new(server::DENIED, Quota::sliding_window(100, MINUTE));

/// What each task checks, again and again.
#[derive(Clone, Copy)]
enum Ask {
    /// One limit, each task for a client of its own.
    Each,
    /// One limit, all tasks for the same client.
    Same,
    /// Two limits together.
    Two,
    /// A limit that denies.
    Denied,
}

pub(crate) fn operations() -> Vec<Operation> {
    let operations = vec![
        operation("redis: a check, one at a time", Ask::Each, 1),
        operation("redis: a check, 16 at a time", Ask::Each, 16),
        operation("redis: a check, 16 at a time of one client", Ask::Same, 16),
        operation("redis: two limits together, one at a time", Ask::Two, 1),
        operation("redis: denied from the deny cache", Ask::Denied, 1),
    ];
    // With the library that `run` preloads, time stands still from here on.
    thread::yield_now();
    operations
}

fn operation(name: &'static str, ask: Ask, tasks: u32) -> Operation {
    // One thread, which looks for answers when there is nothing else to do, and never before.
    let runtime =
        runtime::Builder::new_current_thread().enable_all().event_interval(u32::MAX).build().expect("a runtime");
    let server = Server::start();
    let limiter = runtime.block_on(async {
        // The clock of the deny cache stands still. Callgrind is slow, so the deadline is long.
        let builder = RateGuard::builder().redis(&server.url).clock(Steps::default()).deadline(Duration::from_secs(10));
        let limiter = builder.build().expect("good settings");
        limiter.ready().await.expect("the made-up server answers");
        limiter
    });
    let runtime = Rc::new((runtime, server));
    let operation = Operation::new(name, move |times| {
        let (limiter, runtime) = (limiter.clone(), Rc::clone(&runtime));
        move || {
            runtime.0.block_on(async {
                let asking = (0..tasks).map(|task| tokio::spawn(repeat(limiter.clone(), ask, task, times / tasks)));
                for task in asking.collect::<Vec<_>>() {
                    task.await.expect("it does not panic");
                }
            });
        }
    });
    // The server takes its time.
    Operation { times: 160, ..operation }
}

async fn repeat(limiter: RateGuard, ask: Ask, task: u32, times: u32) {
    let client = |number: u32| Key::ip(Ipv4Addr::from_bits(0x0a00_0000 + number));
    let (own, shared) = (client(task), client(0));
    let wrong = "the made-up server answers as the scripts no longer do: see server.rs";
    for _ in 0..times {
        match ask {
            Ask::Each => {
                let decision = limiter.check(&SEARCH, &own).await;
                assert!(decision.allowed() && !decision.degraded(), "{wrong}");
            }
            Ask::Same => {
                let decision = limiter.check(&SEARCH, &shared).await;
                assert!(decision.allowed() && !decision.degraded(), "{wrong}");
            }
            Ask::Two => {
                let checks = [Check::new(&SEARCH, &own), Check::new(&BURSTS, &own)];
                let decisions = limiter.check_all(&checks).await;
                assert!(decisions.iter().all(|decision| decision.allowed() && !decision.degraded()), "{wrong}");
            }
            Ask::Denied => {
                let decision = limiter.check(&DENIED, &own).await;
                assert!(!decision.allowed() && !decision.degraded(), "{wrong}");
            }
        }
    }
}
