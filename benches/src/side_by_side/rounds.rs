//! Runs the scenarios, one after the other, and prints the tables.

use rateguard_benches::capacity::{self, Rows};
use rateguard_benches::progress::Progress;

use crate::arguments::Arguments;
use crate::contender::WITH_CLUSTER;
use crate::load::Generator;
use crate::results::{Results, Run};
use crate::scenario::Scenario;
use crate::stage::Stage;
use crate::{counters, measure, overload, saved, table};

/// Beside the load itself: removing all counts, warming up, and starting the load generator.
const BETWEEN_RUNS: f64 = 0.6;

/// Measures what the arguments ask for. The file of results is written after each scenario.
pub(crate) fn measure(arguments: &Arguments) -> Results {
    let generator = Generator::choose(arguments.bundled);
    let mut results = Results {
        about: format!(
            "{} rounds of {} s, load by {generator}, {}.",
            arguments.rounds,
            arguments.seconds,
            counters::machine()
        ),
        ..Results::default()
    };
    println!("{}\n", results.about);
    let wanted = |scenarios: &[Scenario]| -> Vec<Scenario> {
        scenarios.iter().copied().filter(|scenario| arguments.wants_scenario(*scenario)).collect()
    };
    let (alone, cluster) = (wanted(&Scenario::ONE_SERVER), wanted(&[Scenario::Cluster]));
    let stage = (!alone.is_empty()).then(|| Stage::with_one_server(arguments));

    let mut progress = Progress::start(expected(arguments, stage.as_ref(), &alone, &cluster));
    if let Some(stage) = stage {
        for scenario in alone {
            run(arguments, scenario, &stage, &generator, &mut progress, &mut results);
        }
    }
    for scenario in cluster {
        progress.begins("cluster: the servers start");
        run(arguments, scenario, &Stage::with_cluster(arguments), &generator, &mut progress, &mut results);
    }
    if arguments.names("overload") {
        let table = overload::measure(arguments, &mut progress);
        progress.clears();
        println!("{table}");
    }
    if arguments.names("capacity") {
        results.capacity = capacity::measure(Rows::Compared, &mut progress);
        progress.clears();
        println!("{}", capacity::table(&results.capacity));
        save(arguments, &results);
    }
    results
}

/// The seconds that all steps are expected to take.
fn expected(arguments: &Arguments, stage: Option<&Stage>, alone: &[Scenario], cluster: &[Scenario]) -> f64 {
    let entered = |scenario: &Scenario| {
        stage.map_or(0, |stage| stage.contenders.iter().filter(|contender| contender.takes_part(*scenario)).count())
    };
    let in_cluster = WITH_CLUSTER.into_iter().filter(|name| arguments.wants_contender(name)).count();
    let runs = alone.iter().map(entered).sum::<usize>() + cluster.len() * in_cluster;
    let mut seconds = runs as f64 * f64::from(arguments.rounds) * seconds_of_run(arguments);
    if arguments.names("overload") {
        seconds += overload::seconds(arguments);
    }
    if arguments.names("capacity") {
        seconds += capacity::seconds(Rows::Compared);
    }
    seconds
}

fn seconds_of_run(arguments: &Arguments) -> f64 {
    f64::from(arguments.seconds) + BETWEEN_RUNS
}

/// Runs one scenario. Each round runs every contender that takes part. The order moves on by one each round, so that no
/// contender always follows the same one.
fn run(
    arguments: &Arguments,
    scenario: Scenario,
    stage: &Stage,
    generator: &Generator,
    progress: &mut Progress,
    results: &mut Results,
) {
    let entered: Vec<_> = stage.contenders.iter().filter(|contender| contender.takes_part(scenario)).collect();
    for round in 0..arguments.rounds {
        let mut order = entered.clone();
        order.rotate_left(round as usize % entered.len().max(1));
        for contender in order {
            progress.begins(&format!(
                "{}, round {} of {}: {}",
                scenario.name(),
                round + 1,
                arguments.rounds,
                contender.name
            ));
            let figures = measure::run(contender, scenario, arguments.seconds, generator, &stage.servers);
            progress.ends(seconds_of_run(arguments));
            results.runs.push(Run { scenario, round: round + 1, contender: contender.name.clone(), figures });
        }
    }
    progress.clears();
    if let Some(table) = table::of(scenario, results) {
        println!("{table}");
    }
    save(arguments, results);
}

fn save(arguments: &Arguments, results: &Results) {
    if let Some(file) = &arguments.save {
        std::fs::write(file, saved::write(results)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}
