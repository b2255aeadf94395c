//! Times as logs write them.

use std::fmt;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
pub(crate) const SECOND: u64 = 1_000_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
/// The year 9999 ends before this second.
const LATEST: u64 = 253_402_300_800;

/// A moment, and the time zone of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Microseconds since 1970, in UTC.
    pub(crate) micros: u64,
    /// `None`: the text has none.
    pub(crate) zone: Option<Zone>,
}

/// Seconds east of Greenwich.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Zone(i64);

/// Reads `25/Nov/2026:13:55:36 +0100`, RFC 3339 with `T` or a space, and seconds, milliseconds, microseconds or nanoseconds
/// since 1970. Without a zone, it is UTC.
pub(crate) fn parse(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    match bytes {
        [_, _, b'/', ..] => common(text),
        [_, _, _, _, b'-', ..] => rfc3339(text),
        [b'0'..=b'9', ..] => epoch(text),
        _ => None,
    }
}

/// `25/Nov/2026:13:55:36 +0100`, in common and combined logs.
fn common(text: &str) -> Option<Moment> {
    let month = text.get(3..6)?;
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let date = (digits(text.get(7..11)?)?, i64::try_from(month).ok()? + 1, digits(text.get(..2)?)?);
    if text.get(6..7)? != "/" || text.get(11..12)? != ":" {
        return None;
    }
    moment(date, clock(text.get(12..20)?)?, 0, text.get(20..)?)
}

/// `2026-11-25T13:55:36.123Z`, with `T` or a space, and a zone that may be missing.
fn rfc3339(text: &str) -> Option<Moment> {
    let date = (digits(text.get(..4)?)?, digits(text.get(5..7)?)?, digits(text.get(8..10)?)?);
    if text.get(7..8)? != "-" || !matches!(text.get(10..11)?, "T" | "t" | " ") {
        return None;
    }
    let seconds = clock(text.get(11..19)?)?;
    let rest = text.get(19..)?;
    let (micros, zone) = match rest.strip_prefix(['.', ',']) {
        Some(fraction) => {
            let end = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
            (fraction_micros(fraction.get(..end)?)?, fraction.get(end..)?)
        }
        None => (0, rest),
    };
    moment(date, seconds, micros, zone)
}

/// The number of digits tells the unit: seconds have 10 until the year 2286.
fn epoch(text: &str) -> Option<Moment> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number = u64::try_from(digits(whole)?).ok()?;
    let micros = match whole.len() {
        ..=11 => number.checked_mul(SECOND)?.checked_add(fraction_micros(fraction)?)?,
        12..=14 => number.checked_mul(1000)?,
        15..=17 => number,
        _ => number / 1000,
    };
    (micros / SECOND < LATEST).then_some(Moment { micros, zone: None })
}

/// The first six digits after the point. An empty fraction is 0.
fn fraction_micros(fraction: &str) -> Option<u64> {
    let mut micros = 0;
    for place in 0..6 {
        let digit = fraction.as_bytes().get(place).copied().unwrap_or(b'0');
        micros = micros * 10 + u64::from(char::from(digit).to_digit(10)?);
    }
    Some(micros)
}

/// `13:55:36` in seconds. A leap second is the next one.
fn clock(text: &str) -> Option<i64> {
    let (hours, minutes, seconds) = (digits(text.get(..2)?)?, digits(text.get(3..5)?)?, digits(text.get(6..8)?)?);
    let valid = hours < 24 && minutes < 60 && seconds <= 60 && text.get(2..3)? == ":" && text.get(5..6)? == ":";
    valid.then_some(hours * 3600 + minutes * 60 + seconds)
}

/// `Z`, `+0100` or `+01:00`.
fn zone_of(text: &str) -> Option<Zone> {
    if matches!(text, "Z" | "z" | "UTC" | "GMT") {
        return Some(Zone(0));
    }
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let minutes = text.get(3..)?;
    let (hours, minutes) = (digits(text.get(1..3)?)?, digits(minutes.strip_prefix(':').unwrap_or(minutes))?);
    (hours < 24 && minutes < 60).then_some(Zone(sign * (hours * 3600 + minutes * 60)))
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `zone` is its text; if there is none, it is UTC.
fn moment(date: (i64, i64, i64), seconds: i64, micros: u64, zone: &str) -> Option<Moment> {
    let zone = match zone.trim_start() {
        "" => None,
        zone => Some(zone_of(zone)?),
    };
    let seconds = days(date)? * 86_400 + seconds - zone.unwrap_or_default().0;
    Some(Moment { micros: u64::try_from(seconds).ok()?.checked_mul(SECOND)?.checked_add(micros)?, zone })
}

/// Days since 1970-01-01 in the Gregorian calendar. Counted from March, so that the leap day is the last one of a year.
fn days((year, month, day): (i64, i64, i64)) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
            - 719_469,
    )
}

/// Year, month and day, the other way round.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

impl Zone {
    /// `2026-11-25 13:55:36`, in this zone.
    pub(crate) fn show(self, micros: u64) -> String {
        let seconds = self.local(micros);
        let (year, month, day) = date(seconds.div_euclid(86_400));
        let clock = seconds.rem_euclid(86_400);
        format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", clock / 3600, clock / 60 % 60, clock % 60)
    }

    /// Seconds since 1970 on the clocks of this zone.
    pub(crate) fn local(self, micros: u64) -> i64 {
        i64::try_from(micros / SECOND).unwrap_or(i64::MAX / 2) + self.0
    }
}

/// `+01:00`, or `UTC`.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("UTC");
        }
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", self.0.abs() / 3600, self.0.abs() / 60 % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> f64 {
        let micros = parse(text).unwrap_or_else(|| panic!("{text} was not read")).micros;
        f64::from(u32::try_from(micros / SECOND).unwrap()) + f64::from(u32::try_from(micros % SECOND).unwrap()) / 1e6
    }

    #[test]
    fn each_form_of_the_same_moment_is_read() {
        for text in [
            "25/Nov/2026:14:55:36 +0100",
            "25/Nov/2026:13:55:36 +0000",
            "25/nov/2026:13:55:36",
            "25/Nov/2026:08:25:36 -0530",
            "2026-11-25T13:55:36Z",
            "2026-11-25T13:55:36",
            "2026-11-25 13:55:36",
            "2026-11-25 14:55:36+01:00",
            "2026-11-25T14:55:36.000000+0100",
            "2026-11-25T13:55:36,0 UTC",
            "1795614936",
            "1795614936.0",
            "1795614936000",
            "1795614936000000",
            "1795614936000000000",
        ] {
            assert!((seconds(text) - 1_795_614_936.0).abs() < 1e-7, "{text}: {}", seconds(text));
        }
        for (text, micros) in [
            ("2026-11-25T13:55:36.123456789Z", 123_456),
            ("1795614936.5", 500_000),
            ("1795614936123", 123_000),
            ("1795614936123456", 123_456),
        ] {
            assert_eq!(parse(text).unwrap().micros, 1_795_614_936_000_000 + micros, "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_shown_as_it_is_read() {
        for day in 0..146_097_u64 {
            let shown = Zone(0).show(day * 86_400 * SECOND);
            assert_eq!(parse(&shown).unwrap().micros, day * 86_400 * SECOND, "{shown}");
        }
        assert_eq!(Zone(0).show(0), "1970-01-01 00:00:00");
        assert_eq!(Zone(0).show(951_782_400 * SECOND), "2000-02-29 00:00:00");
    }

    #[test]
    fn a_moment_is_shown_in_the_zone_of_the_log() {
        let moment = parse("25/Nov/2026:00:30:00 -0230").unwrap();
        let zone = moment.zone.unwrap();
        assert_eq!((zone.show(moment.micros).as_str(), zone.to_string().as_str()), ("2026-11-25 00:30:00", "-02:30"));
        assert_eq!(Zone(0).to_string(), "UTC");
    }

    #[test]
    fn what_is_not_a_time_is_not_read() {
        for text in [
            "",
            "-",
            "yesterday",
            "30/Feb/2026:00:00:00 +0000",
            "00/Jan/2026:00:00:00 +0000",
            "01/Foo/2026:00:00:00 +0000",
            "01/Jan/2026:24:00:00 +0000",
            "01/Jan/2026:00:00:00 0000",
            "01/Jan/2026:00:00:00 +2400",
            "01/Jan/1969:00:00:00 +0000",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00X",
            "2026-01-01",
            "2026-01-01T00:00:+0Z",
            "2025-02-29T00:00:00Z",
            "99999999999999999999",
            "1795614936.x",
            "2026-01-01T00:00:00\u{e4}",
            "\u{e4}\u{e4}\u{e4}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
