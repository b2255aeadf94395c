//! What was measured, and medians and ratios of it.

use rateguard_benches::capacity::Row;

use crate::measure::Figures;
use crate::scenario::Scenario;

/// The results of a run of the program.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Results {
    /// The rounds, the load and the machine.
    pub(crate) about: String,
    pub(crate) runs: Vec<Run>,
    pub(crate) capacity: Vec<Row>,
}

/// One run of one contender.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) scenario: Scenario,
    pub(crate) round: u32,
    pub(crate) contender: String,
    pub(crate) figures: Figures,
}

impl Results {
    /// The contenders of a scenario, in the order of the first round.
    pub(crate) fn contenders(&self, scenario: Scenario) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for run in self.of(scenario) {
            if !names.contains(&run.contender.as_str()) {
                names.push(&run.contender);
            }
        }
        names
    }

    /// The median of the rounds, if this contender has run in this scenario.
    pub(crate) fn median(&self, scenario: Scenario, contender: &str, figure: fn(&Figures) -> f64) -> Option<f64> {
        let runs = self.of(scenario).filter(|run| run.contender == contender);
        median(runs.map(|run| figure(&run.figures)).collect())
    }

    /// The median of the rounds' ratios, so that a slow phase of the machine affects both sides.
    pub(crate) fn ratio(
        &self,
        scenario: Scenario,
        contender: &str,
        floor: &str,
        figure: fn(&Figures) -> f64,
    ) -> Option<f64> {
        let ratios = self.of(scenario).filter(|run| run.contender == contender).filter_map(|run| {
            let mut same_round = self.of(scenario).filter(|other| other.round == run.round);
            let floor = same_round.find(|other| other.contender == floor)?;
            Some(figure(&run.figures) / figure(&floor.figures))
        });
        median(ratios.collect())
    }

    fn of(&self, scenario: Scenario) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.scenario == scenario)
    }
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    let upper = *numbers.get(middle)?;
    match middle.checked_sub(1) {
        Some(lower) if numbers.len().is_multiple_of(2) => Some(f64::midpoint(*numbers.get(lower)?, upper)),
        _ => Some(upper),
    }
}

/// Results for tests.
#[cfg(test)]
pub(crate) mod made {
    use super::*;

    /// One run at this many requests per second, with this median latency.
    pub(crate) fn run(scenario: Scenario, round: u32, contender: &str, requests: f64, p50: f64) -> Run {
        let figures = Figures::from_values([requests, p50, 2.0 * p50, 6.5, 2.5, 0.05, 1.0, 0.0]);
        Run { scenario, round, contender: contender.to_owned(), figures }
    }

    /// One round of one scenario.
    pub(crate) fn round(scenario: Scenario, contenders: &[(&str, f64)]) -> Vec<Run> {
        contenders.iter().map(|(name, requests)| run(scenario, 1, name, *requests, 90.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::made::run;
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_of_each_round() {
        // The machine was slow in the second round.
        let runs = [(1, 100.0, 50.0), (2, 10.0, 6.0), (3, 100.0, 70.0)].into_iter().flat_map(|(round, bare, ours)| {
            [run(Scenario::Spread, round, "bare", bare, 1.0), run(Scenario::Spread, round, "ours", ours, 1.0)]
        });
        let results = Results { runs: runs.collect(), ..Results::default() };
        let requests = |figures: &Figures| figures.requests_per_second;
        assert_eq!(results.ratio(Scenario::Spread, "ours", "bare", requests), Some(0.6));
        assert_eq!(results.median(Scenario::Spread, "ours", requests), Some(50.0));
        assert_eq!(results.ratio(Scenario::Spread, "ours", "incr", requests), None);
        assert_eq!(results.median(Scenario::Hot, "ours", requests), None);
    }

    #[test]
    fn the_median_of_an_even_number_of_rounds_lies_between_the_middle_two() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
