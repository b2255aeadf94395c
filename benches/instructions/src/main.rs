//! The operations whose instructions are counted. `benches/instructions/run` runs this program under callgrind, which counts
//! what [`counted`] executes and writes a file after each call of it. Printed are the names, in the order of the files.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a program that measures stops where it cannot")]

mod checks;
mod redis;
mod requests;
mod server;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rateguard::Clock;

/// Work that was prepared: the operation, as often as was asked.
type Work = Box<dyn FnOnce()>;

/// One line of the table.
struct Operation {
    name: &'static str,
    /// It is counted this often, and twice as often. The difference leaves out what is not a part of it.
    times: u32,
    /// Everything that is not counted: makes requests, for example.
    prepare: Box<dyn FnMut(u32) -> Work>,
}

impl Operation {
    fn new<W: FnOnce() + 'static>(name: &'static str, mut prepare: impl FnMut(u32) -> W + 'static) -> Operation {
        Operation { name, times: 960, prepare: Box::new(move |times| Box::new(prepare(times))) }
    }
}

/// Callgrind knows this function by its name.
#[inline(never)]
fn counted(work: Work) {
    work();
}

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    if only == server::SERVE {
        return server::serve();
    }
    // One after the other: what Redis needs has threads, which change what the allocator does.
    for operations in [checks::operations, requests::operations, redis::operations] {
        for operation in operations().into_iter().filter(|operation| operation.name.contains(&only)) {
            let Operation { name, times, mut prepare } = operation;
            // Until logs and tables no longer grow.
            prepare(8 * times)();
            for times in [times, 2 * times] {
                counted(prepare(times));
            }
            println!("{times} {name}");
        }
    }
}

/// A clock that moves only when it is told to, so that every run counts the same.
#[derive(Clone, Default)]
struct Steps(Arc<AtomicU64>);

impl Steps {
    fn advance(&self, step: Duration) {
        let step = u64::try_from(step.as_micros()).expect("a short time");
        self.0.fetch_add(step, Ordering::Relaxed);
    }
}

impl Clock for Steps {
    fn now(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// The output of a future that does not wait.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing waits in memory"),
    }
}
