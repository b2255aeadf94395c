//! Quotas as text, for the environment, files and logs.
//!
//! A quota is `[algorithm:]limit/window[:burst=n]`; a list of them is `policy = quota`, one a line or parted by `;`, with
//! comments from a `#` on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::ConfigError;
use crate::policy::Policy;
use crate::quota::{Algorithm, Quota};

/// Units of a window, the longest first, with their microseconds.
const UNITS: [(&str, u64); 6] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1)];

const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::SlidingWindow, Algorithm::SlidingCounter, Algorithm::FixedWindow, Algorithm::TokenBucket];

const FORM: &str = "write limit/window, such as 5/60s, or algorithm:limit/window, such as token_bucket:10/1m:burst=20";

/// Text that is no [`Quota`]: says what is wrong with it and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseQuotaError(String);

impl fmt::Display for ParseQuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseQuotaError {}

/// `[algorithm:]limit/window[:burst=n]`: `5/60s`, `fixed_window:100/1h`, `token_bucket:10/1m:burst=20`.
///
/// The algorithm is one of [`Algorithm::name`], and `sliding_window` if it is left away. The window is a whole number of
/// `us`, `ms`, `s`, `m`, `h` or `d`, or of seconds if it has no unit.
impl FromStr for Quota {
    type Err = ParseQuotaError;

    fn from_str(text: &str) -> Result<Quota, ParseQuotaError> {
        let (algorithm, rest) = match text.split_once(':') {
            Some((name, rest)) if !name.contains('/') => (algorithm(name.trim())?, rest),
            _ => (Algorithm::SlidingWindow, text),
        };
        let (rate, burst) = match rest.split_once(':') {
            Some((rate, option)) => (rate, Some(burst(option)?)),
            None => (rest, None),
        };
        let Some((limit, window)) = rate.split_once('/') else {
            return Err(ParseQuotaError(format!("there is no `/` between limit and window: {FORM}")));
        };
        let quota = Quota::try_new(algorithm, whole("limit", limit)?, length(window.trim())?);
        let quota = match burst {
            Some(burst) => quota.and_then(|quota| quota.try_burst(burst)),
            None => quota,
        };
        quota.map_err(|error| ParseQuotaError(error.to_string()))
    }
}

/// As it is read: `token_bucket:10/1m:burst=20`. The algorithm is left away if it is the sliding window.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.algorithm() != Algorithm::SlidingWindow {
            write!(f, "{}:", self.algorithm())?;
        }
        let window = self.window_micros();
        let (unit, size) = UNITS.iter().find(|(_, size)| window.is_multiple_of(*size)).unwrap_or(&("us", 1));
        write!(f, "{}/{}{unit}", self.limit(), window / size)?;
        if self.capacity() == self.limit() { Ok(()) } else { write!(f, ":burst={}", self.capacity()) }
    }
}

fn algorithm(name: &str) -> Result<Algorithm, ParseQuotaError> {
    ALGORITHMS.into_iter().find(|algorithm| algorithm.name() == name).ok_or_else(|| {
        let names = ALGORITHMS.map(Algorithm::name).join(", ");
        ParseQuotaError(format!("the algorithm `{name}` is unknown: use one of {names}"))
    })
}

fn burst(option: &str) -> Result<u32, ParseQuotaError> {
    match option.trim().split_once('=') {
        Some(("burst", number)) => whole("burst", number),
        _ => Err(ParseQuotaError(format!(
            "`{}` is unknown after the window: only burst=n can stand there",
            option.trim()
        ))),
    }
}

fn whole(what: &str, number: &str) -> Result<u32, ParseQuotaError> {
    let number = number.trim();
    number.parse().map_err(|_| {
        ParseQuotaError(format!("the {what} `{number}` is no whole number from 1 to {}: {FORM}", u32::MAX))
    })
}

fn length(text: &str) -> Result<Duration, ParseQuotaError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let size = match unit {
        "" => Some(1_000_000),
        _ => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size),
    };
    let micros = size.and_then(|size| number.parse::<u64>().ok()?.checked_mul(size));
    micros.map(Duration::from_micros).ok_or_else(|| {
        ParseQuotaError(format!(
            "the window `{text}` is no length of time: write 500ms, 60s, 1m, 1h, 1d, or 60 for seconds"
        ))
    })
}

/// The quotas of a list, in its order. `source` is what an error calls it.
pub(crate) fn list(source: &str, text: &str) -> Result<Vec<(String, Quota)>, ConfigError> {
    let mut quotas: Vec<(String, Quota)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for entry in without_comment(line).split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let wrong = |problem: String| ConfigError::new(format!("{source}, line {}", at + 1), entry, problem);
            let Some((name, quota)) = entry.split_once('=') else {
                return Err(wrong("there is no `=`: write policy = quota, such as search = 5/60s".to_owned()));
            };
            let quota = quota.parse::<Quota>().map_err(|error| wrong(error.to_string()))?;
            let policy = Policy::try_new(name.trim().to_owned(), quota).map_err(|error| wrong(error.to_string()))?;
            if quotas.iter().any(|(other, _)| other == policy.name()) {
                return Err(wrong(format!("`{}` has a quota in this list already: leave one of them", policy.name())));
            }
            quotas.push((policy.name().to_owned(), quota));
        }
    }
    Ok(quotas)
}

/// A `#` within a word is part of it: `app::search#2` is the second limit of a handler.
fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| {
        line.get(..*at).is_some_and(|before| !before.ends_with(|c: char| !c.is_whitespace() && c != ';'))
    };
    let comment = line.match_indices('#').find(begins).map(|(at, _)| at);
    comment.and_then(|at| line.get(..at)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(text: &str) -> Quota {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn problem(text: &str) -> String {
        text.parse::<Quota>().map_or_else(|error| error.to_string(), |quota| panic!("{text} was taken as {quota:?}"))
    }

    #[test]
    fn each_form_is_read_and_written_back() {
        let minute = Duration::from_secs(60);
        for (text, expected, shown) in [
            ("5/60s", Quota::sliding_window(5, minute), "5/1m"),
            ("5/60", Quota::sliding_window(5, minute), "5/1m"),
            (" sliding_window : 5 / 1m ", Quota::sliding_window(5, minute), "5/1m"),
            (
                "sliding_counter:7/1500ms",
                Quota::sliding_counter(7, Duration::from_millis(1500)),
                "sliding_counter:7/1500ms",
            ),
            ("fixed_window:1/365d", Quota::fixed_window(1, Quota::MAX_WINDOW), "fixed_window:1/365d"),
            ("token_bucket:10/1m:burst=20", Quota::token_bucket(10, minute).burst(20), "token_bucket:10/1m:burst=20"),
            ("token_bucket:10/1h", Quota::token_bucket(10, 60 * minute), "token_bucket:10/1h"),
            ("4294967295/1001us", Quota::sliding_window(u32::MAX, Duration::from_micros(1001)), "4294967295/1001us"),
        ] {
            assert_eq!(quota(text), expected, "{text}");
            assert_eq!(expected.to_string(), shown);
            assert_eq!(quota(shown), expected, "{shown}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_write() {
        for (text, said) in [
            ("", "no `/`"),
            ("5", "such as 5/60s"),
            ("five/60s", "the limit `five`"),
            ("-1/60s", "the limit `-1`"),
            ("4294967296/60s", "to 4294967295"),
            ("0/60s", "limit is 0"),
            ("5/", "the window ``"),
            ("5/0s", "window is zero"),
            ("5/1w", "500ms, 60s, 1m, 1h, 1d"),
            ("5/1.5h", "the window `1.5h`"),
            ("5/99999999999999d", "the window `99999999999999d`"),
            ("5/366d", "365 days"),
            ("slide:5/60s", "sliding_window, sliding_counter, fixed_window, token_bucket"),
            ("5/60s:burst=9", "burst"),
            ("token_bucket:5/60s:burst=0", "burst"),
            ("token_bucket:5/60s:boost=9", "`boost=9`"),
            ("token_bucket:5/60s:burst=x", "the burst `x`"),
        ] {
            assert!(problem(text).contains(said), "{text}: {}", problem(text));
        }
    }

    #[test]
    fn a_list_has_lines_and_semicolons_comments_and_names_with_a_number_sign() {
        let text = "# for the sale\n search = 5/60s ; login=fixed_window:3/1m # tighter\n\n;app::find#2=1/1s;# the end\r\nb = 2/2s";
        let minute = Duration::from_secs(60);
        assert_eq!(
            list("quotas", text).unwrap_or_default(),
            [
                ("search".to_owned(), Quota::sliding_window(5, minute)),
                ("login".to_owned(), Quota::fixed_window(3, minute)),
                ("app::find#2".to_owned(), Quota::sliding_window(1, Duration::from_secs(1))),
                ("b".to_owned(), Quota::sliding_window(2, Duration::from_secs(2))),
            ]
        );
        assert_eq!(list("quotas", " \n # nothing\n").unwrap_or_default(), []);
    }

    #[test]
    fn an_error_in_a_list_names_its_line_and_entry() {
        for (text, said) in [
            ("a=1/1s\nb", "quotas, line 2 = \"b\": there is no `=`"),
            ("a=1/1s;b=1", "quotas, line 1 = \"b=1\": there is no `/`"),
            ("=1/1s", "name of a policy is empty"),
            ("a b=1/1s", "has a space"),
            ("a=1/1s\n\na = 2/1s", "quotas, line 3 = \"a = 2/1s\": `a` has a quota"),
        ] {
            let error = list("quotas", text).map_or_else(|error| error.to_string(), |quotas| panic!("{quotas:?}"));
            assert!(error.contains(said), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_what_is_taken_is_written_back(text in "[a-z_0-9/:=#; .\u{e4}]{0,24}") {
            let _ = list("quotas", &text);
            if let Ok(quota) = text.parse::<Quota>() {
                proptest::prop_assert_eq!(quota.to_string().parse::<Quota>(), Ok(quota));
            }
        }
    }
}
