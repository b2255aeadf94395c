//! Limiters side by side, each in front of the same handler: the cost of a request with each limiter.
//!
//! ```text
//! cargo run --release -p rateguard-benches -- --help
//! ```
#![allow(clippy::expect_used, clippy::panic, reason = "a program that measures stops where it cannot")]
#![allow(clippy::cast_precision_loss, reason = "what is counted here is small")]

mod arguments;
mod chart;
mod client;
mod contender;
mod counters;
mod floors;
mod generator;
mod load;
mod measure;
mod ours;
mod overload;
mod peers;
mod results;
mod rounds;
mod saved;
mod scenario;
mod stage;
mod table;
mod targets;
mod tutorial;

use rateguard_benches::capacity;
use rateguard_benches::process_group;

use arguments::Arguments;
use results::Results;
use scenario::Scenario;

fn main() {
    let arguments = Arguments::read();
    if let Some(load) = &arguments.load {
        generator::run(load);
    } else if let Some(file) = &arguments.from {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let results = saved::read(&text).unwrap_or_else(|line| panic!("{}: not understood: {line}", file.display()));
        println!("{}\n", results.about);
        for table in Scenario::ALL.into_iter().filter_map(|scenario| table::of(scenario, &results)) {
            println!("{table}");
        }
        if !results.capacity.is_empty() {
            println!("{}", capacity::table(&results.capacity));
        }
        ends(&arguments, &results);
    } else {
        process_group::run(|| {
            let results = rounds::measure(&arguments);
            ends(&arguments, &results);
        });
    }
}

/// What is made of all results.
fn ends(arguments: &Arguments, results: &Results) {
    if arguments.targets {
        println!("{}", targets::table(results));
    }
    if let Some(file) = &arguments.chart {
        std::fs::write(file, chart::svg(results)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}
