//! The crates of others. A separate program serves them. It is not a member of the workspace, so that their dependencies stay
//! out of it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rateguard_tests::RedisServer;

use crate::arguments::WithPeers;
use crate::contender::Contender;
use crate::scenario::Scenario;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/Cargo.toml");

/// The program that serves the peers. It ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct Peers {
    process: Child,
    contenders: Vec<Contender>,
}

impl Peers {
    /// Builds and starts the program, if peers are wanted.
    pub(crate) fn start(server: &RedisServer, which: WithPeers) -> Option<Peers> {
        if which == WithPeers::No {
            return None;
        }
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let target = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/peers");
        let more: &[&str] = if which == WithPeers::All { &["--features", "limitador"] } else { &[] };
        let built = Command::new(cargo)
            .args(["build", "--release", "--locked", "--manifest-path", MANIFEST, "--target-dir", target])
            // One peer requires a newer compiler than it needs.
            .arg("--ignore-rust-version")
            .args(more)
            .status();
        assert!(built.expect("cargo").success(), "{MANIFEST} does not build");
        let program = format!("{target}/release/rateguard-bench-peers");
        let process = Command::new(program).arg(server.url()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.expect("the peers start");
        let pid = process.id();
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let contenders = lines
            .map(|line| line.expect("text"))
            .take_while(|line| line != "ready")
            .map(|line| read(&line, pid))
            .collect();
        Some(Peers { process, contenders })
    }

    /// Those that were started. They are there only once.
    pub(crate) fn contenders(&mut self) -> Vec<Contender> {
        std::mem::take(&mut self.contenders)
    }
}

/// Reads a line `address scenario,scenario name`.
fn read(line: &str, pid: u32) -> Contender {
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_else(|| panic!("not a line about a peer: {line}"));
    let address = word().parse().expect("an address");
    let scenarios: Vec<Scenario> = word().split(',').filter_map(Scenario::named).collect();
    Contender::of_process(pid, word(), address, &scenarios)
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
