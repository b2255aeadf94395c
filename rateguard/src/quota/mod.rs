//! What is allowed: a number of units, in a stretch of time, counted by an algorithm.

pub(crate) mod parse;

use std::fmt;
use std::time::Duration;

pub use parse::ParseQuotaError;

/// How the requests of one client are counted against its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// A log of every allowed request: never more than `limit` in *any* interval of one window's length.
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

/// Ten years: a bucket that takes longer to fill is a mistake, and its times would leave what Redis counts exactly.
const MAX_REFILL_MICROS: u128 = 10 * 365 * 86_400 * 1_000_000;

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

    /// About `limit` units in any interval of length `window`, from two counters: constant memory, no log.
    ///
    /// Units of the window before are taken as spread evenly over it. Where they were not, more than `limit`, but fewer
    /// than twice as many, can be allowed within one window's length.
    ///
    /// # Panics
    ///
    /// When [`Quota::try_new`] would return an error. In a constant that is a compile error.
    pub const fn sliding_counter(limit: u32, window: Duration) -> Quota {
        Quota::must(Quota::try_new(Algorithm::SlidingCounter, limit, window))
    }

    /// `limit` units from the first request on until `window` has passed, then anew.
    ///
    /// Around the seam of two windows up to twice `limit` can be allowed within one window's length.
    ///
    /// # Panics
    ///
    /// When [`Quota::try_new`] would return an error. In a constant that is a compile error.
    pub const fn fixed_window(limit: u32, window: Duration) -> Quota {
        Quota::must(Quota::try_new(Algorithm::FixedWindow, limit, window))
    }

    /// A bucket of `limit` tokens (or [`burst`](Quota::burst) of them) that refills evenly at `limit` tokens a `window`.
    ///
    /// In any interval of length t, at most burst + rate × t units are allowed. The rate is exact, also where a token
    /// takes no whole number of microseconds.
    ///
    /// # Panics
    ///
    /// When [`Quota::try_new`] would return an error. In a constant that is a compile error.
    pub const fn token_bucket(limit: u32, window: Duration) -> Quota {
        Quota::must(Quota::try_new(Algorithm::TokenBucket, limit, window))
    }

    /// How many tokens the bucket of a [`token_bucket`](Quota::token_bucket) holds, instead of `limit`.
    ///
    /// # Panics
    ///
    /// When [`Quota::try_burst`] would return an error. In a constant that is a compile error.
    pub const fn burst(self, burst: u32) -> Quota {
        Quota::must(self.try_burst(burst))
    }

    /// Like [`burst`](Quota::burst), with an error for numbers that are only known at run time.
    ///
    /// # Errors
    ///
    /// When `burst` is 0, when the bucket would take more than 10 years to fill, or when the algorithm is none that has
    /// a burst.
    pub const fn try_burst(mut self, burst: u32) -> Result<Quota, QuotaError> {
        if !matches!(self.algorithm, Algorithm::TokenBucket) {
            return Err(QuotaError::BurstWithoutBucket(self.algorithm));
        }
        if burst == 0 {
            return Err(QuotaError::ZeroBurst);
        }
        if burst as u128 * self.window_micros as u128 > MAX_REFILL_MICROS * self.limit as u128 {
            return Err(QuotaError::BurstTooLarge(burst));
        }
        self.burst = burst;
        Ok(self)
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
        if !window.subsec_nanos().is_multiple_of(1000) {
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

    /// Units allowed in one window. At least 1.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// The length of the window.
    pub const fn window(&self) -> Duration {
        Duration::from_micros(self.window_micros)
    }

    /// The most that can ever be taken at once, the burst of a token bucket and the limit of all others: a larger cost is
    /// refused for ever.
    pub const fn capacity(&self) -> u32 {
        self.burst
    }

    /// One part of `parts` equal ones, rounded down, at least 1.
    #[cfg(feature = "_shared")]
    pub(crate) fn share(mut self, parts: u32) -> Quota {
        self.limit = (self.limit / parts.max(1)).max(1);
        self.burst = (self.burst / parts.max(1)).max(1);
        self
    }

    /// What allows nothing that one of the two, of one algorithm, denies: the tighter of them, if one is.
    pub(crate) fn tighter(self, other: Quota) -> Quota {
        let burst = self.burst.min(other.burst);
        if self.algorithm == Algorithm::TokenBucket {
            let rate = |quota: Quota, window: u64| u128::from(quota.limit) * u128::from(window);
            let is_slower = rate(self, other.window_micros) <= rate(other, self.window_micros);
            return Quota { burst, ..if is_slower { self } else { other } };
        }
        let window_micros = self.window_micros.max(other.window_micros);
        Quota { limit: self.limit.min(other.limit), window_micros, burst, ..self }
    }

    /// How long `units` tokens take to come back: microseconds, and a fraction of one in units of one by the limit.
    pub(crate) fn refill_time(&self, units: u32) -> (u64, u64) {
        let ticks = u128::from(units) * u128::from(self.window_micros);
        let limit = u128::from(self.limit);
        let whole = |ticks: u128| u64::try_from(ticks).unwrap_or(u64::MAX);
        (whole(ticks / limit), whole(ticks % limit))
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
    /// The burst is 0.
    ZeroBurst,
    /// The bucket would take more than 10 years to fill.
    BurstTooLarge(u32),
    /// The algorithm has no burst.
    BurstWithoutBucket(Algorithm),
}

impl QuotaError {
    const fn rule(self) -> &'static str {
        match self {
            QuotaError::ZeroLimit => "limit is 0, which would deny every request: use 1 or more, or remove the route",
            QuotaError::ZeroWindow => "window is zero: use 1 ms to 365 days, such as Duration::from_secs(60)",
            QuotaError::WindowTooShort(_) => "window is shorter than 1 ms: use 1 ms to 365 days",
            QuotaError::WindowTooLong(_) => "window is longer than 365 days: use 1 ms to 365 days",
            QuotaError::WindowTooFine(_) => {
                "window is not a whole number of microseconds, and the count is no finer: round it"
            }
            QuotaError::ZeroBurst => "burst is 0, which would deny every request: use 1 or more",
            QuotaError::BurstTooLarge(_) => "burst would take more than 10 years to refill: use a smaller one",
            QuotaError::BurstWithoutBucket(_) => {
                "burst is for the token bucket only: take it away, or use token_bucket"
            }
        }
    }
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule())?;
        match self {
            QuotaError::ZeroLimit | QuotaError::ZeroWindow | QuotaError::ZeroBurst => Ok(()),
            QuotaError::BurstTooLarge(burst) => write!(f, " (it is {burst})"),
            QuotaError::BurstWithoutBucket(algorithm) => write!(f, " (the algorithm is {algorithm})"),
            QuotaError::WindowTooShort(window)
            | QuotaError::WindowTooLong(window)
            | QuotaError::WindowTooFine(window) => {
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
