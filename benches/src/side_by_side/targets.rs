//! What the measurement is held against.

use std::fmt::Write;

use rateguard_benches::capacity;

use crate::measure::Figures;
use crate::results::Results;
use crate::scenario::Scenario;

const MEMORY: &str = "rateguard, memory";
const PLAIN: &str = "rateguard, Redis";
const COMPACT: &str = "rateguard, Redis, compact";
/// Our two forms of a log in Redis.
const FORMS: [&str; 2] = [PLAIN, COMPACT];

/// A row of the table.
struct Target {
    what: String,
    wanted: Wanted,
    measured: Option<f64>,
}

#[derive(Clone, Copy)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

/// The table: each target, the ratio that was measured, and whether it is met.
pub(crate) fn table(results: &Results) -> String {
    let mut text =
        "### targets\n\nRatios of the same run.\n\n| | target | measured | |\n|---|---:|---:|---|\n".to_owned();
    for target in of_capacity(results).into_iter().chain(of_requests(results)) {
        let (sign, wanted) = match target.wanted {
            Wanted::AtLeast(wanted) => ('≥', wanted),
            Wanted::AtMost(wanted) => ('≤', wanted),
        };
        let (measured, met) = match target.measured {
            None => ("–".to_owned(), "not measured"),
            Some(measured) => {
                let met = if sign == '≥' { measured >= wanted } else { measured <= wanted };
                (format!("{measured:.3}"), if met { "met" } else { "missed" })
            }
        };
        let _ = writeln!(text, "| {} | {sign} {wanted:.2} | {measured} | {met} |", target.what);
    }
    text
}

fn of_capacity(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    let row = |name: &str| results.capacity.iter().find(|row| row.name == name);
    for ((cluster, one), with_replica) in capacity::CLUSTER.into_iter().zip(capacity::ONE).zip(capacity::WITH_REPLICA) {
        for other in [one, with_replica] {
            let rows = row(cluster).zip(row(other));
            targets.push(Target {
                what: format!("checks/s by Redis' CPU: {cluster} ÷ {other}"),
                wanted: Wanted::AtLeast(2.4),
                measured: rows.map(|(cluster, other)| cluster.carries() / other.carries()),
            });
            targets.push(Target {
                what: format!("Redis' µs per check: a node of the {cluster} ÷ {other}"),
                wanted: Wanted::AtMost(1.25),
                measured: rows.map(|(cluster, other)| cluster.micros() / other.micros()),
            });
        }
    }
    targets
}

fn of_requests(results: &Results) -> Vec<Target> {
    let requests = |figures: &Figures| figures.requests_per_second;
    let compared = |scenario: Scenario, ours: &str, other: &str, wanted| Target {
        what: format!("{}, requests/s: {ours} ÷ {other}", scenario.name()),
        wanted,
        measured: results.ratio(scenario, ours, other, requests),
    };
    let mut targets = Vec::new();
    for (ours, wanted) in FORMS.into_iter().zip([0.85, 0.95]) {
        targets.push(compared(Scenario::Spread, ours, "incr", Wanted::AtLeast(wanted)));
        let peer = best_redis_peer(results).unwrap_or("the fastest peer with Redis");
        targets.push(compared(Scenario::Spread, ours, peer, Wanted::AtLeast(1.0)));
    }
    for ours in FORMS {
        targets.push(compared(Scenario::Hot, ours, "incr", Wanted::AtLeast(1.05)));
    }
    for ours in FORMS {
        let rounds = results.runs.iter().filter(|run| run.scenario == Scenario::Low && run.contender == ours).count();
        targets.push(Target {
            what: format!("low, p50 (rounds: {rounds}): {ours} ÷ incr"),
            wanted: Wanted::AtMost(1.15),
            measured: results.ratio(Scenario::Low, ours, "incr", |figures| figures.p50_micros),
        });
    }
    for scenario in [Scenario::Spread, Scenario::Hot] {
        let governor = results.contenders(scenario).into_iter().find(|name| name.starts_with("tower_governor"));
        targets.push(compared(scenario, MEMORY, governor.unwrap_or("tower_governor"), Wanted::AtLeast(1.0)));
    }
    for ours in [MEMORY, PLAIN, COMPACT] {
        targets.push(compared(Scenario::Deny, ours, "bare", Wanted::AtLeast(0.85)));
    }
    targets
}

/// The peer with Redis that answers most requests in `spread`.
fn best_redis_peer(results: &Results) -> Option<&str> {
    let requests = |name: &str| results.median(Scenario::Spread, name, |figures| figures.requests_per_second);
    let peers = results.contenders(Scenario::Spread).into_iter();
    let peers = peers.filter(|name| name.ends_with(", Redis") && !name.starts_with("rateguard"));
    peers.max_by(|one, other| requests(one).unwrap_or(0.0).total_cmp(&requests(other).unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use rateguard_benches::capacity::Row;

    use super::*;
    use crate::results::made;

    fn row<'t>(table: &'t str, what: &str) -> &'t str {
        table.lines().find(|line| line.contains(what)).unwrap_or_default()
    }

    #[test]
    fn a_target_is_met_or_missed_by_the_ratio_of_the_same_round() {
        let contenders = [
            ("bare", 150_000.0),
            ("incr", 90_000.0),
            ("naive", 60_000.0),
            (MEMORY, 120_000.0),
            (PLAIN, 80_000.0),
            (COMPACT, 81_000.0),
            ("tower_governor 0.8.0, memory", 100_000.0),
            ("slow, Redis", 40_000.0),
            ("fast, Redis", 100_000.0),
        ];
        let table = table(&Results { runs: made::round(Scenario::Spread, &contenders), ..Results::default() });
        assert_eq!(
            row(&table, "Redis ÷ incr"),
            "| spread, requests/s: rateguard, Redis ÷ incr | ≥ 0.85 | 0.889 | met |"
        );
        assert!(row(&table, "compact ÷ incr").ends_with("| ≥ 0.95 | 0.900 | missed |"), "{table}");
        // The fastest of the peers counts.
        assert!(row(&table, "Redis ÷ fast, Redis").ends_with("| ≥ 1.00 | 0.800 | missed |"), "{table}");
        assert!(row(&table, "memory ÷ tower_governor 0.8.0").ends_with("| 1.200 | met |"), "{table}");
        assert!(row(&table, "deny, requests/s: rateguard, memory").ends_with("| – | not measured |"), "{table}");
    }

    #[test]
    fn latency_and_cost_must_not_exceed_their_targets() {
        let runs = (1..=5).flat_map(|round| {
            [
                made::run(Scenario::Low, round, "incr", 1.0, 80.0),
                made::run(Scenario::Low, round, PLAIN, 1.0, if round == 1 { 500.0 } else { 88.0 }),
                made::run(Scenario::Low, round, COMPACT, 1.0, 96.0),
            ]
        });
        let row_of = |name: &str, nodes, micros| {
            let (name, points) = (name.to_owned(), vec![(1, 40.0), (64, micros)]);
            Row { name, nodes, bytes: 0.0, points }
        };
        let [plain, compact] = capacity::ONE;
        let [cluster, compact_cluster] = capacity::CLUSTER;
        let capacity =
            [row_of(plain, 1, 6.0), row_of(cluster, 3, 7.0), row_of(compact, 1, 4.0), row_of(compact_cluster, 3, 6.0)];
        let table = table(&Results { runs: runs.collect(), capacity: capacity.into(), ..Results::default() });
        assert!(row(&table, "low, p50 (rounds: 5): rateguard, Redis ÷").ends_with("| ≤ 1.15 | 1.100 | met |"));
        assert!(row(&table, "5): rateguard, Redis, compact ÷").ends_with("| ≤ 1.15 | 1.200 | missed |"), "{table}");
        let carried = "cluster of three, sorted sets ÷ one server, sorted sets";
        assert!(row(&table, carried).ends_with("| ≥ 2.40 | 2.571 | met |"), "{table}");
        let node = "a node of the cluster of three, compact ÷ one server, compact";
        assert!(row(&table, node).ends_with("| ≤ 1.25 | 1.500 | missed |"), "{table}");
    }
}
