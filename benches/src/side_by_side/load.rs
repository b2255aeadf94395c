//! Load on a contender, made by a separate process: wrk, or this program.

use std::fmt;
use std::process::{Command, Stdio};

use crate::contender::Contender;
use crate::scenario::Scenario;

/// The load generator.
#[derive(Debug)]
pub(crate) enum Generator {
    Wrk,
    Bundled,
}

/// The results of the clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_micros: u64,
    pub(crate) p99_micros: u64,
    /// Answers with a status from 400 on.
    pub(crate) denied: u64,
    /// Connections that failed, and answers that did not arrive.
    pub(crate) failed: u64,
}

impl Generator {
    pub(crate) fn choose(bundled: bool) -> Generator {
        // wrk has no option that does nothing and succeeds. It is enough that it starts.
        let wrk = Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if bundled || wrk.is_err() { Generator::Bundled } else { Generator::Wrk }
    }

    pub(crate) fn run(&self, contender: &Contender, scenario: Scenario, seconds: u32) -> Seen {
        let connections = scenario.connections().to_string();
        let (keys, seconds) = (scenario.keys().to_string(), seconds.to_string());
        let mut command = match self {
            Generator::Wrk => {
                let mut command = Command::new("wrk");
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/side_by_side/keys.lua");
                let threads = if scenario.connections() == 1 { "1" } else { "2" };
                command.args(["-t", threads, "-c", &connections, "-d", &seconds, "--latency", "-s", script]);
                command.arg(format!("http://{}{}", contender.address, scenario.path())).args(["--", &keys]);
                command
            }
            Generator::Bundled => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.args(["--load", &contender.address.to_string(), scenario.path()]);
                command.args([connections, keys, seconds]);
                command
            }
        };
        let output = command.stderr(Stdio::inherit()).output().expect("the load generator starts");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().find_map(Seen::parse).unwrap_or_else(|| panic!("the load generator gave no result:\n{text}"))
    }
}

impl Seen {
    /// The line `result requests micros p50 p99 denied failed`.
    fn parse(line: &str) -> Option<Seen> {
        let numbers: Vec<u64> = line.strip_prefix("result ")?.split(' ').map_while(|word| word.parse().ok()).collect();
        let [requests, micros, p50_micros, p99_micros, denied, failed] = numbers.try_into().ok()?;
        Some(Seen { requests, seconds: micros as f64 / 1e6, p50_micros, p99_micros, denied, failed })
    }
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Generator::Wrk => "wrk (2 threads)",
            Generator::Bundled => "the bundled generator (2 threads)",
        })
    }
}
