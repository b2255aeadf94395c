//! The program's arguments.

use std::sync::atomic::Ordering;

use crate::app::BURN;

const HELP: &str = "\
Handlers that block.

    cargo run --release -p rateguard-benches --bin starved -- [options]

    --rounds N       rounds of each case (3); the table shows the most that were allowed, and each round
    --only A,B       only these: burst, client, addresses, owner
    --block A,B      milliseconds that a handler blocks, in `burst` (20,60,150)
    --workers A,B    number of worker threads, in `burst`; 0 is a current-thread runtime (0,1,2)
    --requests A,B   simultaneous requests, in `burst` (100,300)
    --burn           handlers keep a core busy instead of sleeping";

/// The arguments.
pub(crate) struct Arguments {
    pub(crate) rounds: u32,
    only: Vec<String>,
    pub(crate) block: Vec<u64>,
    pub(crate) workers: Vec<usize>,
    pub(crate) requests: Vec<usize>,
}

impl Arguments {
    pub(crate) fn read() -> Arguments {
        let mut arguments = Arguments {
            rounds: 3,
            only: Vec::new(),
            block: vec![20, 60, 150],
            workers: vec![0, 1, 2],
            requests: vec![100, 300],
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| stop(&format!("{word} needs a value")));
            match word.as_str() {
                "--rounds" => arguments.rounds = numbers(&value()).first().copied().unwrap_or(1),
                "--only" => arguments.only = value().split(',').map(ToOwned::to_owned).collect(),
                "--block" => arguments.block = numbers(&value()),
                "--workers" => arguments.workers = numbers(&value()),
                "--burn" => BURN.store(true, Ordering::SeqCst),
                "--requests" => arguments.requests = numbers(&value()),
                "--help" | "-h" => stop(HELP),
                other => stop(&format!("unknown option {other}\n\n{HELP}")),
            }
        }
        arguments
    }

    pub(crate) fn wants(&self, what: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == what)
    }
}

fn numbers<T: std::str::FromStr>(text: &str) -> Vec<T> {
    let number = |text: &str| text.trim().parse().unwrap_or_else(|_| stop(&format!("{text} is not a number")));
    text.split(',').map(number).collect()
}

fn stop(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(2)
}
