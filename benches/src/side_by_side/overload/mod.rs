//! What happens when there are more checks than Redis, or the network path to it, can answer: how many are answered in time,
//! and how many are charged in vain.
//!
//! Checks arrive at a fixed rate, and no check waits for another (open loop). Redis is behind a proxy that delays each reply by
//! a fixed time and limits nothing else. The limit is never reached.

mod arrivals;
mod cell;
mod checker;
mod tally;

use std::fmt::Write;
use std::time::Duration;

use cell::Cell;
use checker::Kind;
use rateguard_benches::progress::Progress;

use crate::arguments::Arguments;

/// In 60 seconds.
const LIMIT: u32 = 100;
const DEADLINE: Duration = Duration::from_millis(100);
/// Not measured: the time until the queue has its full length.
const WARM_UP: Duration = Duration::from_millis(500);
/// Beside the load itself: starting a server, and counting what was charged.
const BETWEEN_CELLS: f64 = 1.5;

/// The seconds that all cells are expected to take.
pub(crate) fn seconds(arguments: &Arguments) -> f64 {
    (contenders(arguments).len() * arguments.delays.len() * arguments.offered.len()) as f64 * seconds_of_cell(arguments)
}

fn seconds_of_cell(arguments: &Arguments) -> f64 {
    f64::from(arguments.seconds) + BETWEEN_CELLS
}

fn contenders(arguments: &Arguments) -> Vec<Kind> {
    Kind::ALL.into_iter().filter(|kind| arguments.wants_contender(kind.name())).collect()
}

/// The table. For each load, the contenders run one after the other.
pub(crate) fn measure(arguments: &Arguments, progress: &mut Progress) -> String {
    let mut text = format!(
        "### overload\n\nChecks arrive at a fixed rate; limit {LIMIT} in 60 s, never reached; deadline {} ms; {} s each.\n\n\
         | reply delayed by | offered/s | contender | arrived/s | in time/s | degraded | failed | by reason | p50 ms | p99 ms | \
         slowest ms | charged in vain | Redis' core |\n\
         |---:|---:|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|\n",
        DEADLINE.as_millis(),
        arguments.seconds
    );
    for delay in &arguments.delays {
        for offered in &arguments.offered {
            for kind in contenders(arguments) {
                progress.begins(&format!("overload, {delay} ms, {offered} checks per second: {}", kind.name()));
                let cell = cell::measure(kind, *delay, *offered, arguments.seconds);
                progress.ends(seconds_of_cell(arguments));
                let _ = writeln!(text, "| {delay} ms | {offered} | {} | {} |", kind.name(), row(&cell));
            }
        }
    }
    text
}

fn row(cell: &Cell) -> String {
    format!(
        "{:.0} | {:.0} | {:.1} % | {:.1} % | {} | {:.2} | {:.1} | {:.1} | {} ({:.0} %) | {:.0} %",
        cell.arrived,
        cell.in_time,
        100.0 * cell.degraded,
        100.0 * cell.failed,
        cell.reasons.join(", "),
        cell.p50,
        cell.p99,
        cell.slowest,
        cell.in_vain,
        100.0 * cell.in_vain_share,
        100.0 * cell.redis_core
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_degraded_checks_from_failed_ones() {
        let cell = Cell {
            arrived: 200_000.4,
            in_time: 60_000.0,
            degraded: 0.7,
            failed: 0.001,
            reasons: vec!["overloaded 70.0 %".to_owned(), "error 0.1 %".to_owned()],
            p50: 0.5,
            p99: 99.0,
            slowest: 100.25,
            in_vain: -3,
            in_vain_share: 0.0,
            redis_core: 0.95,
        };
        let expected =
            "200000 | 60000 | 70.0 % | 0.1 % | overloaded 70.0 %, error 0.1 % | 0.50 | 99.0 | 100.2 | -3 (0 %) | 95 %";
        assert_eq!(row(&cell), expected);
    }
}
