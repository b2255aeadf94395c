//! The `window` of a limit, if it is a literal.

use std::time::Duration;

const YEAR: Duration = Duration::from_secs(365 * DAY);
const DAY: u64 = 86_400;

/// The units, longest first, with their milliseconds. There is no `w`; the message for `1w` says `7d`.
const UNITS: [(&str, u64); 5] = [("d", DAY * 1000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The units that the text of a quota has, with their microseconds.
pub(crate) const UNITS_IN_MICROS: [(&str, u64); 6] =
    [("d", DAY * 1_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1)];

const FORMS: &str = "write seconds, as in `window = 60`, or \"500ms\" \"60s\" \"1m\" \"1h\" \"1d\"";

/// The window of a number of seconds, in milliseconds.
pub(crate) fn from_seconds(digits: &str) -> Result<u64, String> {
    match digits.parse::<u64>() {
        Ok(seconds) => checked(seconds.checked_mul(1000), digits),
        Err(_) => Err(too_long(digits)),
    }
}

/// The window of a string such as `1m`, in milliseconds.
pub(crate) fn from_text(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, word) = trimmed.split_at(split);
    let exact = UNITS.iter().find(|(unit, _)| *unit == word);
    if let (Some((_, millis)), Ok(count), true) = (exact, number.parse::<u64>(), trimmed == text) {
        return checked(count.checked_mul(*millis), text);
    }
    let hint = meant(number, word.trim()).map(|meant| format!("; did you mean \"{meant}\"?")).unwrap_or_default();
    Err(format!("`window` cannot be \"{text}\"{hint}\n{FORMS}"))
}

/// The right spelling of what a wrong one probably means.
fn meant(number: &str, word: &str) -> Option<String> {
    let millis = match word.to_lowercase().as_str() {
        "ms" | "msec" | "msecs" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => DAY * 1000,
        "w" | "week" | "weeks" => 7 * DAY * 1000,
        _ => return None,
    };
    // "1.5h" as whole and thousandths, without floats.
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = if whole.is_empty() && fraction.is_empty() { 1 } else { whole.parse().ok()? };
    let thousandths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let total = whole.checked_mul(millis)?.checked_add(thousandths * millis / 1000)?;
    (total > 0).then(|| shown(total))
}

/// A window in words, as they follow a number of requests: `a minute`, `in 90 seconds`.
pub(crate) fn spoken(micros: u64) -> String {
    if !micros.is_multiple_of(1000) {
        return format!("in {micros} microseconds");
    }
    let millis = micros / 1000;
    let (unit, size) = UNITS.iter().find(|(_, size)| millis.is_multiple_of(*size)).unwrap_or(&("ms", 1));
    let (article, word) = match *unit {
        "d" => ("a", "day"),
        "h" => ("an", "hour"),
        "m" => ("a", "minute"),
        "s" => ("a", "second"),
        _ => ("a", "millisecond"),
    };
    match millis / size {
        1 => format!("{article} {word}"),
        count => format!("in {count} {word}s"),
    }
}

/// The message for a number with a suffix, such as `1m` or `0.5s`.
pub(crate) fn suffixed(number: &str, suffix: &str) -> String {
    match meant(number, suffix) {
        // A valid unit is kept.
        Some(_) if UNITS.iter().any(|(unit, _)| *unit == suffix) && number.parse::<u64>().is_ok() => {
            format!("`window` with a unit is a string: write `window = \"{number}{suffix}\"`")
        }
        Some(meant) => format!("`window` with a unit is a string: write `window = \"{meant}\"`"),
        None => format!("`window` as a number is in seconds and has no type: write `window = {number}`"),
    }
}

/// A duration in the longest unit in which it is a whole number.
fn shown(millis: u64) -> String {
    let (unit, size) = UNITS.iter().find(|(_, size)| millis.is_multiple_of(*size)).unwrap_or(&("ms", 1));
    format!("{}{unit}", millis / size)
}

fn checked(millis: Option<u64>, text: &str) -> Result<u64, String> {
    match millis {
        Some(0) => Err(format!("`window` is 0, in which nothing can be counted: use 1 ms to 365 days\n{FORMS}")),
        Some(millis) if Duration::from_millis(millis) <= YEAR => Ok(millis),
        _ => Err(too_long(text)),
    }
}

fn too_long(text: &str) -> String {
    format!("`window` of {text} is longer than a year: use 1 ms to 365 days; a number is in seconds")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn every_unit_is_accepted() {
        for (text, millis) in
            [("500ms", 500), ("60s", 60_000), ("1m", 60_000), ("1h", 3_600_000), ("365d", 31_536_000_000)]
        {
            assert_eq!(from_text(text), Ok(millis));
        }
        assert_eq!(from_seconds("60"), Ok(60_000));
    }

    #[test]
    fn the_message_for_a_wrong_spelling_has_the_right_one() {
        for (text, right) in [
            ("5 minutes", "5m"),
            ("60", "1m"),
            ("1.5h", "90m"),
            ("0.5s", "500ms"),
            ("2 weeks", "14d"),
            ("1 Day", "1d"),
            ("minute", "1m"),
            ("90sec", "90s"),
        ] {
            let error = from_text(text).unwrap_err();
            assert!(error.contains(&format!("did you mean \"{right}\"?")), "{error}");
        }
        assert!(!from_text("soon").unwrap_err().contains("did you mean"));
        assert!(!from_text("").unwrap_err().contains("did you mean \"0"));
    }

    #[test]
    fn the_message_for_a_unit_without_quotes_has_the_quotes() {
        for (number, suffix, right) in [
            ("1", "m", "\"1m\""),
            ("60", "s", "\"60s\""),
            ("500", "ms", "\"500ms\""),
            ("5", "min", "\"5m\""),
            ("0.5", "s", "\"500ms\""),
        ] {
            let message = suffixed(number, suffix);
            assert!(message.ends_with(&format!("write `window = {right}`")), "{message}");
        }
        assert!(suffixed("60", "u64").ends_with("write `window = 60`"));
    }

    #[test]
    fn words_use_the_longest_unit() {
        assert_eq!(spoken(1500), "in 1500 microseconds");
        for (millis, words) in [
            (60_000, "a minute"),
            (3_600_000, "an hour"),
            (90_000, "in 90 seconds"),
            (600_000, "in 10 minutes"),
            (604_800_000, "in 7 days"),
            (500, "in 500 milliseconds"),
        ] {
            assert_eq!(spoken(millis * 1000), words);
        }
    }

    #[test]
    fn zero_and_more_than_a_year_are_errors() {
        for error in [from_seconds("0"), from_text("0s"), from_seconds("31536001"), from_text("366d")] {
            assert!(error.unwrap_err().contains("1 ms to 365 days"));
        }
        assert!(from_seconds("99999999999999999999999").unwrap_err().contains("longer than a year"));
        assert!(from_text("99999999999999999d").unwrap_err().contains("longer than a year"));
    }
}
