//! What is allowed: a number of units, in a stretch of time, counted by an algorithm.

use std::fmt;
use std::time::Duration;

/// How the requests of one client are counted against its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// A log of every admitted request: never more than `limit` in *any* interval of one window's length.
    SlidingWindow,
    /// Two fixed windows, the earlier one weighted by how much of it the sliding window still covers.
    SlidingCounter,
    /// A counter that starts with the first request and is forgotten one window later.
    FixedWindow,
    /// A bucket of `burst` tokens that refills at `limit` tokens a window (GCRA).
    TokenBucket,
}

impl Algorithm {
    /// The name as it is written in `#[rate_limit(algorithm = "…")]`.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::SlidingWindow => "sliding_window",
            Algorithm::SlidingCounter => "sliding_counter",
            Algorithm::FixedWindow => "fixed_window",
            Algorithm::TokenBucket => "token_bucket",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one client may do: `limit` units in `window`, counted by an [`Algorithm`].
///
/// A quota is always valid. The constructors named after the algorithms are `const fn` and panic on a quota that
/// cannot be kept, which in a `const` or `static` is a compile error; where the numbers come from a file or a user,
/// [`Quota::try_new`] returns the error instead.
///
/// ```
/// use rateguard::Quota;
/// use std::time::Duration;
///
/// const SEARCH: Quota = Quota::sliding_window(5, Duration::from_secs(60));
/// assert_eq!(SEARCH.limit(), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    algorithm: Algorithm,
    limit: u32,
    window_micros: u64,
    burst: u32,
}

impl Quota {
    /// The shortest window, 1 ms.
    pub const MIN_WINDOW: Duration = Duration::from_millis(1);
    /// The longest window, 365 days.
    pub const MAX_WINDOW: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// At most `limit` units in any interval of length `window`. Exact.
    ///
    /// # Panics
    ///
    /// When [`Quota::try_new`] would return an error. In a constant that is a compile error.
    pub const fn sliding_window(limit: u32, window: Duration) -> Quota {
        Quota::must(Quota::try_new(Algorithm::SlidingWindow, limit, window))
    }

    /// A quota whose numbers are only known at run time.
    ///
    /// # Errors
    ///
    /// When `limit` is 0, or when `window` is shorter than [`Quota::MIN_WINDOW`], longer than [`Quota::MAX_WINDOW`],
    /// or not a whole number of microseconds.
    pub const fn try_new(algorithm: Algorithm, limit: u32, window: Duration) -> Result<Quota, QuotaError> {
        if limit == 0 {
            return Err(QuotaError::ZeroLimit);
        }
        if window.is_zero() {
            return Err(QuotaError::ZeroWindow);
        }
        if window.as_nanos() < Quota::MIN_WINDOW.as_nanos() {
            return Err(QuotaError::WindowTooShort(window));
        }
        if window.as_nanos() > Quota::MAX_WINDOW.as_nanos() {
            return Err(QuotaError::WindowTooLong(window));
        }
        if window.subsec_nanos() % 1000 != 0 {
            return Err(QuotaError::WindowTooFine(window));
        }
        // At most a year, so it fits.
        let window_micros = window.as_secs() * 1_000_000 + window.subsec_micros() as u64;
        Ok(Quota { algorithm, limit, window_micros, burst: limit })
    }

    #[expect(clippy::panic, reason = "documented; in a constant it is the compile error")]
    const fn must(result: Result<Quota, QuotaError>) -> Quota {
        match result {
            Ok(quota) => quota,
            Err(error) => panic!("{}", error.rule()),
        }
    }

    /// How the requests are counted.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Units admitted in one window. At least 1.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// The length of the window.
    pub const fn window(&self) -> Duration {
        Duration::from_micros(self.window_micros)
    }

    /// The most that can ever be taken at once: a larger cost is refused for ever.
    pub const fn capacity(&self) -> u32 {
        self.burst
    }

    /// The window in microseconds, the unit of all the arithmetic.
    pub(crate) const fn window_micros(&self) -> u64 {
        self.window_micros
    }
}

/// A quota that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaError {
    /// The limit is 0.
    ZeroLimit,
    /// The window is 0.
    ZeroWindow,
    /// The window is shorter than [`Quota::MIN_WINDOW`].
    WindowTooShort(Duration),
    /// The window is longer than [`Quota::MAX_WINDOW`].
    WindowTooLong(Duration),
    /// The window is not a whole number of microseconds, the resolution of the count.
    WindowTooFine(Duration),
}

impl QuotaError {
    const fn rule(self) -> &'static str {
        match self {
            QuotaError::ZeroLimit => {
                "limit is 0, which would refuse every request: use 1 or more, or take the route away"
            }
            QuotaError::ZeroWindow => "window is zero: use 1 ms to 365 days, such as Duration::from_secs(60)",
            QuotaError::WindowTooShort(_) => "window is shorter than 1 ms: use 1 ms to 365 days",
            QuotaError::WindowTooLong(_) => "window is longer than 365 days: use 1 ms to 365 days",
            QuotaError::WindowTooFine(_) => {
                "window is not a whole number of microseconds, and the count is no finer: round it"
            }
        }
    }
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule())?;
        match self {
            QuotaError::ZeroLimit | QuotaError::ZeroWindow => Ok(()),
            QuotaError::WindowTooShort(window) | QuotaError::WindowTooLong(window) | QuotaError::WindowTooFine(window) => {
                write!(f, " (it is {window:?})")
            }
        }
    }
}

impl std::error::Error for QuotaError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_cannot_be_kept_is_refused_with_what_to_write_instead() {
        let built = |limit, window| Quota::try_new(Algorithm::SlidingWindow, limit, window).map_err(|e| e.to_string());
        assert!(built(0, Duration::from_secs(1)).unwrap_err().starts_with("limit is 0"));
        assert!(built(1, Duration::ZERO).unwrap_err().contains("1 ms to 365 days"));
        assert!(built(1, Duration::from_micros(999)).unwrap_err().contains("999µs"));
        assert!(built(1, Duration::from_secs(31_536_001)).unwrap_err().contains("31536001s"));
        assert!(built(1, Duration::from_nanos(1_000_500)).unwrap_err().contains("whole number of microseconds"));
        assert!(built(1, Quota::MIN_WINDOW).is_ok());
        assert!(built(u32::MAX, Quota::MAX_WINDOW).is_ok());
    }

    #[test]
    #[should_panic(expected = "limit is 0")]
    fn the_short_constructors_panic_when_the_quota_is_built_not_when_a_request_comes() {
        let _ = Quota::sliding_window(0, Duration::from_secs(1));
    }
}
