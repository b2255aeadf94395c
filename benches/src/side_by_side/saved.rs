//! Results as text with tabs, to be kept in a file and read again.

use std::fmt::Write;

use rateguard_benches::capacity::Row;

use crate::measure::Figures;
use crate::results::{Results, Run};
use crate::scenario::Scenario;

/// The text of a file.
pub(crate) fn write(results: &Results) -> String {
    let mut text = format!("about\t{}\n", results.about);
    let _ = writeln!(text, "# run\tscenario\tround\tcontender\t{}", Figures::NAMES.join("\t"));
    for run in &results.runs {
        let _ = writeln!(
            text,
            "run\t{}\t{}\t{}\t{}",
            run.scenario.name(),
            run.round,
            run.contender,
            run.figures.values().map(|value| value.to_string()).join("\t")
        );
    }
    if !results.capacity.is_empty() {
        text.push_str("# capacity\tname\tnodes\tbytes per check\tchecks together:µs per check …\n");
    }
    for row in &results.capacity {
        let points: Vec<String> = row.points.iter().map(|(together, micros)| format!("{together}:{micros}")).collect();
        let _ = writeln!(text, "capacity\t{}\t{}\t{}\t{}", row.name, row.nodes, row.bytes, points.join("\t"));
    }
    text
}

/// Reads it again. The error is the line that is not understood.
pub(crate) fn read(text: &str) -> Result<Results, String> {
    let mut results = Results::default();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let understood = match fields.as_slice() {
            ["about", about] => {
                (*about).clone_into(&mut results.about);
                Some(())
            }
            ["run", fields @ ..] => run(fields).map(|run| results.runs.push(run)),
            ["capacity", fields @ ..] => capacity(fields).map(|row| results.capacity.push(row)),
            _ => None,
        };
        understood.ok_or_else(|| line.to_owned())?;
    }
    Ok(results)
}

fn run(fields: &[&str]) -> Option<Run> {
    let [scenario, round, contender, values @ ..] = fields else { return None };
    let values: Option<Vec<f64>> = values.iter().map(|value| value.parse().ok()).collect();
    Some(Run {
        scenario: Scenario::named(scenario)?,
        round: round.parse().ok()?,
        contender: (*contender).to_owned(),
        figures: Figures::from_values(values?.try_into().ok()?),
    })
}

fn capacity(fields: &[&str]) -> Option<Row> {
    let [name, nodes, bytes, points @ ..] = fields else { return None };
    let point = |point: &&str| {
        let (together, micros) = point.split_once(':')?;
        Some((together.parse().ok()?, micros.parse().ok()?))
    };
    Some(Row {
        name: (*name).to_owned(),
        nodes: nodes.parse().ok()?,
        bytes: bytes.parse().ok()?,
        points: points.iter().map(point).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::made;

    #[test]
    fn what_was_written_is_read_again() {
        let results = Results {
            about: "5 rounds of 2 s, load by wrk, 2 cores".to_owned(),
            runs: made::round(Scenario::TwoLimits, &[("bare", 150_000.25), ("rateguard, Redis", 1.0 / 3.0)]),
            capacity: vec![Row { name: "one".to_owned(), nodes: 3, bytes: 0.1, points: vec![(1, 27.5), (64, 6.1)] }],
        };
        assert_eq!(read(&write(&results)), Ok(results));
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        for line in ["run\tspread\t1\tbare\t2", "run\tnowhere\t1\tbare\t1\t1\t1\t1\t1\t1\t1\t1", "capacity\tx\ty", "x"]
        {
            assert_eq!(read(line), Err(line.to_owned()));
        }
    }
}
