//! Prints the figures as a Markdown table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::measure::Figures;
use crate::scenario::Scenario;

const HEAD: &str = "\
| contender | requests/s | × bare | × incr | p50 µs | p99 µs | server CPU µs | Redis CPU µs | script calls | commands |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

/// The table of a scenario. All figures except requests and times are per request. All are medians of the rounds; a ratio is
/// the median of the rounds' ratios.
pub(crate) fn of(scenario: Scenario, rounds: &[BTreeMap<usize, (String, Figures)>]) -> String {
    let mut text = format!("### {}\n\n{}.\n\n{HEAD}\n", scenario.name(), capital(scenario.says()));
    let places: BTreeSet<usize> = rounds.iter().flat_map(BTreeMap::keys).copied().collect();
    let mut notes = String::new();
    for place in places {
        let name = rounds.iter().find_map(|round| Some(&round.get(&place)?.0)).map_or("", String::as_str);
        let of = |figure: fn(&Figures) -> f64| {
            median(rounds.iter().filter_map(|round| Some(figure(&round.get(&place)?.1))).collect())
        };
        let ratio = |floor: &str| {
            let ratios: Vec<f64> = rounds
                .iter()
                .filter_map(|round| {
                    let floor = round.values().find(|(name, _)| name == floor)?.1.requests_per_second;
                    Some(round.get(&place)?.1.requests_per_second / floor)
                })
                .collect();
            if ratios.is_empty() { "–".to_owned() } else { format!("{:.2}", median(ratios)) }
        };
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {} | {} | {:.0} | {:.0} | {:.1} | {:.2} | {:.3} | {:.2} |",
            of(|figures| figures.requests_per_second),
            ratio("bare"),
            ratio("incr"),
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
    text
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    let at = |place: usize| numbers.get(place).copied().unwrap_or(f64::NAN);
    if numbers.len().is_multiple_of(2) { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) } else { at(middle) }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
