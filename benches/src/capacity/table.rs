//! Prints the rows as a Markdown table.

use std::fmt::Write;

use super::{ROUNDS, Row, TOGETHER};

/// The table, and what it shows.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "### capacity\n\nRedis' own CPU time per check, user and system, in microseconds (INFO cpu), by the number of \
         simultaneous checks for each node, and bytes to and from Redis per check; the median of {ROUNDS} interleaved rounds. \
         Replicas are not counted, but a node's traffic to its replica is. Then the fitted line: the cost per call of one \
         server, and per check in it; and the checks per second at which every node would use one core, with the largest \
         calls.\n\n"
    );
    let numbers = TOGETHER.map(|together| format!("{together} together"));
    let _ = writeln!(text, "| | {} | bytes | per call | per check | checks/s |", numbers.join(" | "));
    let _ = writeln!(text, "|---|{}---:|---:|---:|---:|", "---:|".repeat(TOGETHER.len()));
    for row in rows {
        let cells: Vec<String> = row.points.iter().map(|(_, micros)| format!("{micros:.2}")).collect();
        let points = row.points.iter().map(|(n, micros)| (f64::from(*n), f64::from(*n) * micros));
        let (call, check) = line(&points.collect::<Vec<_>>());
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {call:.1} | {check:.2} | {:.0} |",
            row.name,
            cells.join(" | "),
            row.bytes,
            row.carries()
        );
    }
    text
}

/// The least-squares line: its value at 0 and its slope.
fn line(points: &[(f64, f64)]) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let below: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = above / below;
    (y - slope * x, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_the_points_the_fitted_line_and_what_the_nodes_carry() {
        // 20 µs per call and 2 µs per check.
        let micros = |n: u32| 20.0 / f64::from(n) + 2.0;
        let points = TOGETHER.into_iter().map(|n| (n, micros(n))).collect();
        let row = Row { name: "cluster of three".to_owned(), nodes: 3, bytes: 123.4, points };
        let table = table(&[row]);
        let line = table.lines().last().unwrap_or_default();
        assert_eq!(line, "| cluster of three | 22.00 | 4.50 | 2.83 | 2.31 | 123 | 20.0 | 2.00 | 1297297 |");
    }
}
