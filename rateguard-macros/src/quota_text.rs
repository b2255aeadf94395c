//! The text form of a quota, `[algorithm:]limit/window[:burst=n]`, as the library reads it while a program runs.

use crate::errors::nearest;
use crate::window::UNITS_IN_MICROS;

const YEAR: u64 = 365 * 86_400_000_000;
/// The longest time in which a bucket may fill: ten years.
const MAX_REFILL: u128 = 10 * YEAR as u128;

/// The algorithms, as they are named everywhere.
pub(crate) const ALGORITHMS: [&str; 4] = ["sliding_window", "sliding_counter", "fixed_window", "token_bucket"];

const FORM: &str =
    "write limit/window, as in \"5/60s\", or algorithm:limit/window, as in \"token_bucket:100/1m:burst=200\"";

/// A quota that is written as a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QuotaText {
    pub(crate) algorithm: &'static str,
    pub(crate) limit: u32,
    /// The window in microseconds.
    pub(crate) micros: u64,
    pub(crate) burst: Option<u32>,
}

/// Reads the text. The error says what to write.
pub(crate) fn read(text: &str) -> Result<QuotaText, String> {
    parts(text).map_err(|problem| format!("`quota` cannot be \"{text}\": {problem}\n{FORM}"))
}

fn parts(text: &str) -> Result<QuotaText, String> {
    let (algorithm, rest) = match text.split_once(':') {
        Some((name, rest)) if !name.contains('/') => (algorithm(name.trim())?, rest),
        _ => ("sliding_window", text),
    };
    let (rate, burst) = match rest.split_once(':') {
        Some((rate, option)) => (rate, Some(burst(option.trim())?)),
        None => (rest, None),
    };
    let Some((limit, window)) = rate.split_once('/') else {
        return Err("there is no `/` between limit and window".to_owned());
    };
    let quota = QuotaText { algorithm, limit: whole("limit", limit.trim())?, micros: length(window.trim())?, burst };
    quota.checked()
}

impl QuotaText {
    fn checked(self) -> Result<QuotaText, String> {
        let problem = match self.burst {
            _ if self.limit == 0 => "the limit is 0, which would deny every request: use 1 or more",
            _ if self.micros == 0 => "the window is 0, in which nothing can be counted: use 1 ms to 365 days",
            _ if self.micros < 1000 => "the window is shorter than 1 ms: use 1 ms to 365 days",
            _ if self.micros > YEAR => "the window is longer than a year: use 1 ms to 365 days",
            Some(_) if self.algorithm != "token_bucket" => {
                "burst is for the token bucket only: leave it out, or write token_bucket: before the limit"
            }
            Some(0) => "the burst is 0, which would deny every request: use 1 or more",
            Some(burst) if u128::from(burst) * u128::from(self.micros) > MAX_REFILL * u128::from(self.limit) => {
                "the burst would take more than 10 years to refill: use a smaller one"
            }
            _ => return Ok(self),
        };
        Err(problem.to_owned())
    }
}

fn algorithm(name: &str) -> Result<&'static str, String> {
    ALGORITHMS.into_iter().find(|known| *known == name).ok_or_else(|| {
        let hint = nearest(name, &ALGORITHMS).map(|near| format!(", did you mean {near}?")).unwrap_or_default();
        format!("`{name}` is not an algorithm{hint} (it is one of {})", ALGORITHMS.join(", "))
    })
}

fn burst(option: &str) -> Result<u32, String> {
    match option.split_once('=') {
        Some(("burst", number)) => whole("burst", number.trim()),
        _ => Err(format!("`{option}` is unknown after the window: only burst=n can follow")),
    }
}

fn whole(what: &str, number: &str) -> Result<u32, String> {
    number.parse().map_err(|_| format!("the {what} `{number}` is not a whole number from 1 to {}", u32::MAX))
}

/// A window in microseconds. Without a unit, it is in seconds.
fn length(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = if unit.is_empty() { "s" } else { unit };
    let size = UNITS_IN_MICROS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
    size.and_then(|size| number.parse::<u64>().ok()?.checked_mul(size)).ok_or_else(|| {
        format!("the window `{text}` is not a length of time: 500ms, 60s, 1m, 1h, 1d, or 60 for seconds")
    })
}

#[cfg(test)]
mod tests {
    use rateguard::Quota;

    use super::*;

    /// What the library makes of the text while a program runs.
    fn by_the_library(text: &str) -> Option<(String, u32, u64, u32)> {
        let quota: Quota = text.parse().ok()?;
        let micros = u64::try_from(quota.window().as_micros()).unwrap_or(0);
        Some((quota.algorithm().to_string(), quota.limit(), micros, quota.capacity()))
    }

    #[test]
    fn a_text_means_what_the_library_reads_while_a_program_runs() {
        let mut valid = 0;
        let algorithms =
            ["", "sliding_window:", " fixed_window : ", "token_bucket:", "sliding_counter:", "slide:", ":", "a/b:"];
        let limits = ["5", " 7 ", "0", "-1", "+3", "", "five", "4294967295", "4294967296", "1_000", "5/5"];
        let windows = [
            "60s",
            "60",
            " 1m ",
            "1h",
            "365d",
            "366d",
            "1500ms",
            "1001us",
            "999us",
            "0",
            "",
            "1w",
            "1.5h",
            "1 m",
            "99999999999999999999",
        ];
        let bursts = [
            "",
            ":burst=9",
            ":burst=0",
            ": burst= 8 ",
            ":burst =8",
            ":boost=9",
            ":",
            ":burst=4294967295",
            ":burst=1:x",
        ];
        for algorithm in algorithms {
            for (limit, window) in limits.iter().flat_map(|limit| windows.map(|window| (limit, window))) {
                for burst in bursts {
                    let text = format!("{algorithm}{limit}/{window}{burst}");
                    let here = read(&text).ok();
                    valid += usize::from(here.is_some());
                    let here = here.map(|quota| {
                        let capacity = quota.burst.unwrap_or(quota.limit);
                        (quota.algorithm.to_owned(), quota.limit, quota.micros, capacity)
                    });
                    assert_eq!(here, by_the_library(&text), "{text}");
                }
            }
        }
        assert!(valid > 100, "{valid}");
        for text in ["", "5", "/", ":", "5:burst=1", "token_bucket", "5 per minute"] {
            assert_eq!(read(text).ok().is_some(), by_the_library(text).is_some(), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_and_what_to_write() {
        for (text, said) in [
            ("5 per minute", "there is no `/`"),
            ("five/60s", "the limit `five` is not a whole number from 1 to 4294967295"),
            ("0/60s", "the limit is 0"),
            ("5/1w", "the window `1w` is not a length of time"),
            ("5/0s", "the window is 0"),
            ("5/366d", "longer than a year"),
            ("slidingwindow:5/60s", "did you mean sliding_window?"),
            ("5/60s:burst=9", "write token_bucket: before the limit"),
            ("token_bucket:5/60s:boost=9", "`boost=9` is unknown"),
            ("token_bucket:5/60s:burst=0", "the burst is 0"),
        ] {
            let error = read(text).map_or_else(|error| error, |quota| format!("{quota:?}"));
            assert!(error.contains(said) && error.contains("as in \"5/60s\""), "{error}");
        }
    }
}
