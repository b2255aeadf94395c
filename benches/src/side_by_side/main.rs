//! Limiters side by side, each in front of the same handler: the cost of a request with each limiter.
//!
//! ```text
//! cargo run --release -p rateguard-benches -- --help
//! ```
#![allow(clippy::expect_used, clippy::panic, reason = "a program that measures stops where it cannot")]
#![allow(clippy::cast_precision_loss, reason = "what is counted here is small")]

mod arguments;
mod contender;
mod floors;
mod generator;
mod load;
mod measure;
mod ours;
mod peers;
mod scenario;
mod table;

use std::collections::BTreeMap;

use rateguard_tests::RedisServer;

use arguments::Arguments;
use contender::Contender;
use load::Generator;
use measure::Figures;
use peers::Peers;
use scenario::Scenario;

fn main() {
    let arguments = Arguments::read();
    if let Some(load) = &arguments.load {
        generator::run(load);
        return;
    }
    let generator = Generator::choose(arguments.bundled);
    let server = RedisServer::start();
    let peers = arguments.peers.then(|| Peers::start(&server, arguments.limitador));
    let mut contenders = contender::of_this_program(&server);
    contenders.extend(peers.iter().flat_map(Peers::contenders));
    contenders.retain(|contender| arguments.wants_contender(&contender.name));
    println!(
        "{} rounds of {} s, load by {generator}, {}.\n",
        arguments.rounds,
        arguments.seconds,
        measure::machine(&server)
    );
    for scenario in Scenario::ALL.into_iter().filter(|scenario| arguments.wants_scenario(*scenario)) {
        let rounds = rounds(&arguments, scenario, &contenders, &generator, &server);
        println!("{}", table::of(scenario, &rounds));
    }
}

/// Runs one scenario. Each round runs every contender that takes part. The order moves on by one each round, so that no
/// contender always follows the same one.
fn rounds(
    arguments: &Arguments,
    scenario: Scenario,
    contenders: &[Contender],
    generator: &Generator,
    server: &RedisServer,
) -> Vec<BTreeMap<usize, (String, Figures)>> {
    let entered: Vec<&Contender> = contenders.iter().filter(|contender| contender.takes_part(scenario)).collect();
    (0..arguments.rounds)
        .map(|round| {
            let mut places: Vec<usize> = (0..entered.len()).collect();
            places.rotate_left(round as usize % entered.len().max(1));
            places
                .into_iter()
                .filter_map(|place| Some((place, *entered.get(place)?)))
                .map(|(place, contender)| {
                    eprintln!("{} round {}: {}", scenario.name(), round + 1, contender.name);
                    let figures = measure::run(contender, scenario, arguments.seconds, generator, server);
                    (place, (contender.name.clone(), figures))
                })
                .collect()
        })
        .collect()
}
