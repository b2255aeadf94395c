//! Round numbers and times for the axes.

use crate::time::{SECOND, Zone};

/// The most times below a panel.
const MOST_TICKS: u64 = 9;
const DAY: u64 = 86_400;
const STEPS: [u64; 16] =
    [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, DAY, 2 * DAY, 7 * DAY, 28 * DAY];

/// A time below a panel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// In seconds since 1970.
    pub(super) at: u64,
    pub(super) name: String,
}

/// The times of an axis that begins at `from` and has so many intervals of a length in seconds.
pub(super) fn ticks(zone: Zone, from: u64, length: u64, intervals: usize) -> Vec<Tick> {
    let span = length.saturating_mul(u64::try_from(intervals).unwrap_or(u64::MAX));
    let mut step = STEPS.iter().copied().find(|step| span / step < MOST_TICKS).unwrap_or(28 * DAY);
    while span / step >= MOST_TICKS {
        step *= 2;
    }
    // Round in the zone of the log.
    let local = u64::try_from(zone.local(from * SECOND)).unwrap_or(0);
    let first = from + (local.next_multiple_of(step) - local);
    let times = (first..=from + span).step_by(usize::try_from(step).unwrap_or(usize::MAX));
    times.map(|at| Tick { at, name: name(zone, at, step) }).collect()
}

/// The time of day; the date at midnight, or if the times are days apart.
fn name(zone: Zone, at: u64, step: u64) -> String {
    let shown = zone.show(at * SECOND);
    let (date, clock) = shown.split_once(' ').unwrap_or((&shown, ""));
    match clock {
        _ if step >= DAY => date.to_owned(),
        "00:00:00" => date.to_owned(),
        _ if step < 60 => clock.to_owned(),
        _ => clock.get(..5).unwrap_or(clock).to_owned(),
    }
}

/// The next number of one digit and zeros, such as 6, 20 or 300.
pub(super) fn ceiling(number: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for times in 1..=9 {
            let round = unit.saturating_mul(times);
            if round >= number {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// The length of an interval in words.
pub(super) fn length_name(seconds: u64) -> String {
    let (count, unit) = match seconds {
        _ if seconds.is_multiple_of(7 * DAY) => (seconds / (7 * DAY), "week"),
        _ if seconds.is_multiple_of(DAY) => (seconds / DAY, "day"),
        _ if seconds.is_multiple_of(3600) => (seconds / 3600, "hour"),
        _ if seconds.is_multiple_of(60) => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    if count == 1 { unit.to_owned() } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time;

    fn names(time: &str, length: u64, intervals: usize) -> Vec<String> {
        let from = time::parse(time).unwrap();
        let ticks = ticks(from.zone.unwrap_or_default(), from.micros / SECOND, length, intervals);
        ticks.into_iter().map(|tick| tick.name).collect()
    }

    #[test]
    fn times_are_round_in_the_zone_of_the_log() {
        assert_eq!(
            names("2026-11-25T23:59:50+05:30", 1, 20),
            ["23:59:50", "23:59:55", "2026-11-26", "00:00:05", "00:00:10"]
        );
        assert_eq!(names("2026-11-25T23:00:00+05:30", 900, 30)[..2], ["23:00", "2026-11-26"]);
        assert_eq!(names("2026-11-25T10:00:00Z", DAY, 21), ["2026-11-26", "2026-12-03", "2026-12-10"]);
        assert_eq!(names("2026-11-25T10:00:01Z", 1, 1), ["10:00:01", "10:00:02"]);
    }

    #[test]
    fn there_are_few_times_whatever_the_span() {
        for length in [1, 5, 900, 86_400, 604_800 * 4096] {
            for intervals in [1, 2, 96, 239, 240] {
                let ticks = ticks(Zone::default(), 1_795_614_936 / length * length, length, intervals);
                assert!(ticks.len() <= 10, "{length} {intervals}: {ticks:?}");
            }
        }
    }

    #[test]
    fn the_scale_ends_at_a_round_number() {
        let numbers = [0, 1, 2, 3, 7, 10, 11, 4999, 5001].map(ceiling);
        assert_eq!(numbers, [1, 1, 2, 3, 7, 10, 20, 5000, 6000]);
        assert_eq!(ceiling(u64::MAX), u64::MAX);
    }

    #[test]
    fn lengths_have_words() {
        let names = [1, 5, 60, 900, 3600, 86_400, 604_800].map(length_name);
        assert_eq!(names, ["second", "5 seconds", "minute", "15 minutes", "hour", "day", "week"]);
    }
}
