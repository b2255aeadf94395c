//! The program's arguments.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::scenario::Scenario;

const HELP: &str = "\
Limiters side by side, each in front of the same handler.

    cargo run --release -p rateguard-benches -- [options]

    --rounds N         rounds of every scenario; each contender runs once per round (5)
    --seconds N        seconds per run (2)
    --scenario A,B     only these: spread, hot, deny, two-limits, low, cluster (all six);
                       and, only if they are named, overload and capacity
    --contender A,B    only contenders whose name contains one of these
    --peers            also the crates of others, which are built first (benches/peers)
    --limitador        also limitador, whose build takes ten minutes and needs libclang
    --targets          all that the targets need, and whether they are met:
                       --peers --scenario spread,hot,deny,low,capacity
    --bundled          load from the generator in this program, even if wrk is installed

    --save FILE        also write the results to a file, as text with tabs
    --from FILE        measure nothing; take the results from such a file
    --chart FILE       draw spread, hot and deny as an SVG file

    --delay A,B        in overload: milliseconds by which each reply of Redis is delayed (0.1,3)
    --offered A,B      in overload: checks that arrive per second (20000,60000,200000)";

/// The arguments.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
    pub(crate) peers: WithPeers,
    pub(crate) targets: bool,
    pub(crate) bundled: bool,
    pub(crate) save: Option<PathBuf>,
    pub(crate) from: Option<PathBuf>,
    pub(crate) chart: Option<PathBuf>,
    pub(crate) delays: Vec<f64>,
    pub(crate) offered: Vec<u32>,
    /// Only make this load. The program starts itself with this argument.
    pub(crate) load: Option<Load>,
    scenarios: Vec<String>,
    contenders: Vec<String>,
}

/// Which crates of others take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WithPeers {
    No,
    /// All but limitador.
    QuicklyBuilt,
    All,
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

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments {
            rounds: 5,
            seconds: 2,
            peers: WithPeers::No,
            targets: false,
            bundled: false,
            save: None,
            from: None,
            chart: None,
            delays: vec![0.1, 3.0],
            offered: vec![20_000, 60_000, 200_000],
            load: None,
            scenarios: Vec::new(),
            contenders: Vec::new(),
        }
    }
}

impl Arguments {
    pub(crate) fn read() -> Arguments {
        let mut arguments = Arguments::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| stop(&format!("{word} needs a value")));
            match word.as_str() {
                "--rounds" => arguments.rounds = number(&value()),
                "--seconds" => arguments.seconds = number(&value()),
                "--scenario" => arguments.scenarios = list(&value()),
                "--contender" => arguments.contenders = list(&value()),
                "--peers" => arguments.peers = arguments.peers.max(WithPeers::QuicklyBuilt),
                "--limitador" => arguments.peers = WithPeers::All,
                "--targets" => {
                    arguments.targets = true;
                    arguments.peers = arguments.peers.max(WithPeers::QuicklyBuilt);
                }
                "--bundled" => arguments.bundled = true,
                "--save" => arguments.save = Some(value().into()),
                "--from" => arguments.from = Some(value().into()),
                "--chart" => arguments.chart = Some(value().into()),
                "--delay" => arguments.delays = list(&value()),
                "--offered" => arguments.offered = list(&value()),
                "--load" => {
                    let (address, path) = (number(&value()), value());
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
        if arguments.targets && arguments.scenarios.is_empty() {
            arguments.scenarios = list("spread,hot,deny,low,capacity");
        }
        let known = |name: &str| Scenario::named(name).is_some() || ["overload", "capacity"].contains(&name);
        if let Some(unknown) = arguments.scenarios.iter().find(|name| !known(name)) {
            stop(&format!("unknown scenario {unknown}"));
        }
        arguments
    }

    pub(crate) fn wants_scenario(&self, scenario: Scenario) -> bool {
        self.scenarios.is_empty() || self.names(scenario.name())
    }

    /// Whether this scenario is named.
    pub(crate) fn names(&self, scenario: &str) -> bool {
        self.scenarios.iter().any(|name| name == scenario)
    }

    pub(crate) fn wants_contender(&self, name: &str) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|wanted| name.contains(wanted))
    }
}

fn list<T: FromStr>(text: &str) -> Vec<T> {
    text.split(',').map(number).collect()
}

fn number<T: FromStr>(text: &str) -> T {
    text.trim().parse().unwrap_or_else(|_| stop(&format!("{text} is not valid here")))
}

fn stop(message: &str) -> ! {
    eprintln!("{message}\n\n{HELP}");
    std::process::exit(2)
}
