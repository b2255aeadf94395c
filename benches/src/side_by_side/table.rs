//! Prints the figures of a scenario as a Markdown table.

use std::fmt::Write;

use crate::measure::Figures;
use crate::results::Results;
use crate::scenario::Scenario;

/// The table of a scenario, or nothing if it was not measured. All figures except requests and times are per request. All are
/// medians of the rounds; a ratio is the median of the rounds' ratios.
pub(crate) fn of(scenario: Scenario, results: &Results) -> Option<String> {
    let contenders = results.contenders(scenario);
    if contenders.is_empty() {
        return None;
    }
    let low = scenario == Scenario::Low;
    let more = if low { (" p50 × incr |", "---:|") } else { ("", "") };
    let mut text = format!(
        "### {}\n\n{}.\n\n\
         | contender | requests/s | × bare | × incr | p50 µs |{} p99 µs | server CPU µs | Redis CPU µs | script calls | \
         commands |\n\
         |---|---:|---:|---:|---:|{}---:|---:|---:|---:|---:|\n",
        scenario.name(),
        capital(scenario.says()),
        more.0,
        more.1
    );
    let mut notes = String::new();
    for name in contenders {
        let of = |figure| results.median(scenario, name, figure).unwrap_or(f64::NAN);
        let ratio = |floor, figure: fn(&Figures) -> f64| {
            let ratio = results.ratio(scenario, name, floor, figure);
            ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
        };
        let p50 = if low { format!(" {} |", ratio("incr", |figures| figures.p50_micros)) } else { String::new() };
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {} | {} | {:.0} |{p50} {:.0} | {:.1} | {:.2} | {:.3} | {:.2} |",
            of(|figures| figures.requests_per_second),
            ratio("bare", |figures| figures.requests_per_second),
            ratio("incr", |figures| figures.requests_per_second),
            of(|figures| figures.p50_micros),
            of(|figures| figures.p99_micros),
            of(|figures| figures.server_micros),
            of(|figures| figures.redis_micros),
            of(|figures| figures.scripts),
            of(|figures| figures.commands),
        );
        let wrong = of(|figures| figures.wrong);
        if wrong > 0.001 {
            let what = if scenario == Scenario::Deny { "was allowed" } else { "was denied" };
            let _ = writeln!(notes, "{name}: {:.1} % {what} or failed.", wrong * 100.0);
        }
    }
    if !notes.is_empty() {
        let _ = write!(text, "\n{notes}");
    }
    Some(text)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::made;

    #[test]
    fn each_contender_has_a_row_with_its_ratios_to_both_floors() {
        let contenders = [("bare", 150_000.0), ("incr", 90_000.0), ("rateguard, Redis", 60_000.0)];
        let results = Results { runs: made::round(Scenario::Spread, &contenders), ..Results::default() };
        let table = of(Scenario::Spread, &results).unwrap_or_default();
        assert!(table.contains("| contender | requests/s | × bare | × incr | p50 µs | p99 µs |"), "{table}");
        let row = "| rateguard, Redis | 60000 | 0.40 | 0.67 | 90 | 180 | 6.5 | 2.50 | 0.050 | 1.00 |";
        assert_eq!(table.lines().last(), Some(row));
    }

    #[test]
    fn with_one_connection_the_median_latency_is_also_a_ratio() {
        let runs = vec![
            made::run(Scenario::Low, 1, "incr", 10_000.0, 80.0),
            made::run(Scenario::Low, 1, "rateguard, Redis", 9_000.0, 92.0),
        ];
        let table = of(Scenario::Low, &Results { runs, ..Results::default() }).unwrap_or_default();
        assert!(table.contains("| p50 µs | p50 × incr | p99 µs |"), "{table}");
        assert!(table.contains("| rateguard, Redis | 9000 | – | 0.90 | 92 | 1.15 | 184 |"), "{table}");
    }

    #[test]
    fn wrong_answers_are_told_below_the_table() {
        let mut runs = made::round(Scenario::Deny, &[("bare", 150_000.0), ("leaky", 90_000.0)]);
        for run in &mut runs {
            run.figures.wrong = if run.contender == "leaky" { 0.125 } else { 0.0 };
        }
        let table = of(Scenario::Deny, &Results { runs, ..Results::default() }).unwrap_or_default();
        assert!(table.ends_with("|\n\nleaky: 12.5 % was allowed or failed.\n"), "{table}");
    }

    #[test]
    fn a_scenario_that_was_not_measured_has_no_table() {
        assert_eq!(of(Scenario::Hot, &Results::default()), None);
    }
}
