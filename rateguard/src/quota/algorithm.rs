//! The four ways to count.

use std::fmt;
use std::str::FromStr;

use crate::error::UnknownNameError;

/// How the requests of one client are counted against its quota. [How they differ](crate::guide::algorithms).
///
/// ```
/// use rateguard::Algorithm;
///
/// assert_eq!("token_bucket".parse(), Ok(Algorithm::TokenBucket));
/// assert_eq!(Algorithm::SlidingWindow.to_string(), "sliding_window");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// A log of every allowed request: never more than `limit` in *any* interval of one window's length.
    #[doc(alias = "sliding log")]
    SlidingWindow,
    /// Two fixed windows, the earlier one weighted by how much of it the sliding window still covers.
    SlidingCounter,
    /// A counter that starts with the first request and ends one window later.
    FixedWindow,
    /// A bucket of `burst` tokens that refills at `limit` tokens per window (GCRA).
    #[doc(alias = "GCRA")]
    #[doc(alias = "leaky bucket")]
    TokenBucket,
}

impl Algorithm {
    pub(super) const ALL: [Algorithm; 4] =
        [Algorithm::SlidingWindow, Algorithm::SlidingCounter, Algorithm::FixedWindow, Algorithm::TokenBucket];

    /// The name as it is written in `#[rate_limit(algorithm = "…")]` and in the text of a [`Quota`](crate::Quota).
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::SlidingWindow => "sliding_window",
            Algorithm::SlidingCounter => "sliding_counter",
            Algorithm::FixedWindow => "fixed_window",
            Algorithm::TokenBucket => "token_bucket",
        }
    }
}

/// The name, as [`Algorithm::as_str`] gives it.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads what [`Algorithm::as_str`] gives.
impl FromStr for Algorithm {
    type Err = UnknownNameError;

    fn from_str(name: &str) -> Result<Algorithm, UnknownNameError> {
        let found = Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name);
        found.ok_or_else(|| UnknownNameError::new("algorithm", name, &Algorithm::ALL.map(Algorithm::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_is_read_from_its_own_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let error = "slide".parse::<Algorithm>().unwrap_err().to_string();
        let known = "sliding_window, sliding_counter, fixed_window, token_bucket";
        assert_eq!(error, format!("the algorithm `slide` is unknown: use one of {known}"));
    }
}
