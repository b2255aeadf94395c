//! The program's arguments.

use std::net::SocketAddr;

use crate::scenario::Scenario;

const HELP: &str = "\
Limiters side by side, each in front of the same handler.

    cargo run --release -p rateguard-benches -- [options]

    --rounds N         rounds of every scenario; each contender runs once per round (5)
    --seconds N        seconds per run (2)
    --scenario A,B     only these: spread, hot, deny, two-limits, low
    --contender A,B    only contenders whose name contains one of these
    --peers            also the crates of others, which are built first (benches/peers)
    --limitador        also limitador, whose build takes ten minutes and needs libclang
    --bundled          load from the generator in this program, even if wrk is installed";

/// The arguments.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
    pub(crate) peers: bool,
    pub(crate) limitador: bool,
    pub(crate) bundled: bool,
    /// Only make this load. The program starts itself with this argument.
    pub(crate) load: Option<Load>,
    scenarios: Vec<String>,
    contenders: Vec<String>,
}

/// The load to make.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) connections: u32,
    pub(crate) keys: u32,
    pub(crate) seconds: u32,
}

impl Arguments {
    pub(crate) fn read() -> Arguments {
        let mut arguments = Arguments { rounds: 5, seconds: 2, ..Arguments::default() };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| stop(&format!("{word} needs a value")));
            match word.as_str() {
                "--rounds" => arguments.rounds = number(&value()),
                "--seconds" => arguments.seconds = number(&value()),
                "--scenario" => arguments.scenarios = names(&value()),
                "--contender" => arguments.contenders = names(&value()),
                "--peers" => arguments.peers = true,
                "--limitador" => (arguments.peers, arguments.limitador) = (true, true),
                "--bundled" => arguments.bundled = true,
                "--load" => {
                    let address = value().parse().unwrap_or_else(|_| stop("--load needs an address"));
                    let path = value();
                    let [connections, keys, seconds] = [number(&value()), number(&value()), number(&value())];
                    arguments.load = Some(Load { address, path, connections, keys, seconds });
                }
                "--help" | "-h" => {
                    println!("{HELP}");
                    std::process::exit(0);
                }
                other => stop(&format!("unknown option {other}")),
            }
        }
        if let Some(unknown) =
            arguments.scenarios.iter().find(|name| Scenario::ALL.iter().all(|scenario| scenario.name() != *name))
        {
            stop(&format!("unknown scenario {unknown}"));
        }
        arguments
    }

    pub(crate) fn wants_scenario(&self, scenario: Scenario) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|name| name == scenario.name())
    }

    pub(crate) fn wants_contender(&self, name: &str) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|wanted| name.contains(wanted))
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_owned()).collect()
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| stop(&format!("{text} is not a number")))
}

fn stop(message: &str) -> ! {
    eprintln!("{message}\n\n{HELP}");
    std::process::exit(2)
}
