//! A quota: how many units one client may use in a window of time, and the algorithm that counts them.

mod algorithm;
mod error;
pub(crate) mod parse;
#[cfg(feature = "serde")]
pub(crate) mod serde;

use std::time::Duration;

pub use algorithm::Algorithm;
pub use error::QuotaError;
pub use parse::ParseQuotaError;

/// What one client may do: `limit` units in `window`, counted by an [`Algorithm`].
///
/// A quota is always valid. The constructors named after the algorithms are `const fn` and panic on an invalid quota,
/// which in a `const` or `static` is a compile error. For numbers from a file or a user, [`Quota::try_new`] returns the
/// error instead, and [`str::parse`] reads the text form: `"5/60s"`, `"token_bucket:10/1m:burst=20"`.
///
/// ```
/// use rateguard::Quota;
/// use std::time::Duration;
///
/// const SEARCH: Quota = Quota::sliding_window(5, Duration::from_secs(60));
/// assert_eq!(SEARCH, Quota::per_minute(5));
/// assert_eq!("5/60s".parse(), Ok(SEARCH));
/// assert_eq!(SEARCH.limit(), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "throttle")]
pub struct Quota {
    algorithm: Algorithm,
    limit: u32,
    window_micros: u64,
    burst: u32,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Ten years. A bucket that takes longer to fill is a mistake, and Redis could not represent its times exactly.
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
    #[doc(alias = "points")]
    #[doc(alias = "max")]
    #[doc(alias = "moving window")]
    pub const fn sliding_window(limit: u32, window: Duration) -> Quota {
        Quota::must(Quota::try_new(Algorithm::SlidingWindow, limit, window))
    }

    /// About `limit` units in any interval of length `window`, from two counters: constant memory, no log.
    ///
    /// The units of the previous window are assumed to be spread evenly over it. Where they were not, more than `limit`
    /// units, but fewer than twice as many, can be allowed within one window's length.
    ///
    /// # Panics
    ///
    /// When [`Quota::try_new`] would return an error. In a constant that is a compile error.
    pub const fn sliding_counter(limit: u32, window: Duration) -> Quota {
        Quota::must(Quota::try_new(Algorithm::SlidingCounter, limit, window))
    }

    /// `limit` units from the first request until `window` has passed, then `limit` again.
    ///
    /// Where two windows meet, up to twice `limit` can be allowed within one window's length.
    ///
    /// # Panics
    ///
    /// When [`Quota::try_new`] would return an error. In a constant that is a compile error.
    pub const fn fixed_window(limit: u32, window: Duration) -> Quota {
        Quota::must(Quota::try_new(Algorithm::FixedWindow, limit, window))
    }

    /// A bucket of `limit` tokens (or [`burst`](Quota::burst) tokens) that refills evenly at `limit` tokens per `window`.
    ///
    /// In any interval of length t, at most burst + rate × t units are allowed. The rate is exact, even if the time for
    /// one token is not a whole number of microseconds.
    ///
    /// # Panics
    ///
    /// When [`Quota::try_new`] would return an error. In a constant that is a compile error.
    #[doc(alias = "GCRA")]
    #[doc(alias = "leaky bucket")]
    #[doc(alias = "replenish")]
    #[doc(alias = "per_millisecond")]
    pub const fn token_bucket(limit: u32, window: Duration) -> Quota {
        Quota::must(Quota::try_new(Algorithm::TokenBucket, limit, window))
    }

    /// At most `limit` units in any second: a [`sliding_window`](Quota::sliding_window) of one second.
    ///
    /// # Panics
    ///
    /// When `limit` is 0. In a constant that is a compile error.
    pub const fn per_second(limit: u32) -> Quota {
        Quota::sliding_window(limit, SECOND)
    }

    /// At most `limit` units in any minute: a [`sliding_window`](Quota::sliding_window) of one minute.
    ///
    /// ```
    /// use rateguard::Quota;
    ///
    /// const SEARCH: Quota = Quota::per_minute(100);
    /// assert_eq!(SEARCH.to_string(), "100/1m");
    /// ```
    ///
    /// # Panics
    ///
    /// When `limit` is 0. In a constant that is a compile error.
    pub const fn per_minute(limit: u32) -> Quota {
        Quota::sliding_window(limit, MINUTE)
    }

    /// At most `limit` units in any hour: a [`sliding_window`](Quota::sliding_window) of one hour.
    ///
    /// # Panics
    ///
    /// When `limit` is 0. In a constant that is a compile error.
    pub const fn per_hour(limit: u32) -> Quota {
        Quota::sliding_window(limit, HOUR)
    }

    /// At most `limit` units in any 24 hours: a [`sliding_window`](Quota::sliding_window) of that length.
    ///
    /// # Panics
    ///
    /// When `limit` is 0. In a constant that is a compile error.
    pub const fn per_day(limit: u32) -> Quota {
        Quota::sliding_window(limit, DAY)
    }

    /// Sets how many tokens the bucket of a [`token_bucket`](Quota::token_bucket) holds. The default is `limit`.
    ///
    /// # Panics
    ///
    /// When [`Quota::try_burst`] would return an error. In a constant that is a compile error.
    #[must_use = "this returns another quota and leaves this one as it is"]
    #[doc(alias = "burst_size")]
    pub const fn burst(self, burst: u32) -> Quota {
        Quota::must(self.try_burst(burst))
    }

    /// Like [`burst`](Quota::burst), for numbers that are only known at run time.
    ///
    /// # Errors
    ///
    /// When `burst` is 0, when the bucket would take more than 10 years to fill, or when the algorithm is not the token
    /// bucket.
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

    /// A quota from numbers that are only known at run time.
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

    /// Units allowed in one window. At least 1, except for a limit that [a request](crate::HttpLimit::quota_by) computes.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// The length of the window.
    #[doc(alias = "period")]
    #[doc(alias = "window_ms")]
    pub const fn window(&self) -> Duration {
        Duration::from_micros(self.window_micros)
    }

    /// The most units that can be taken at once: the burst of a token bucket, the limit of any other quota. A larger cost
    /// is always denied.
    pub const fn capacity(&self) -> u32 {
        self.burst
    }

    /// The same quota with this limit, which may be 0. The bucket of a token bucket holds `burst`, or else the limit, and
    /// never more than refills in 10 years.
    pub(crate) fn with_limit(mut self, limit: u32, burst: Option<u32>) -> Quota {
        (self.limit, self.burst) = (limit, limit);
        match burst {
            Some(burst) if limit > 0 => self.try_burst(burst).unwrap_or(self),
            _ => self,
        }
    }

    /// Whether it allows nothing at all, as a limit that a request computes may. Such a quota is never asked of a store.
    pub(crate) const fn allows_nothing(&self) -> bool {
        self.burst == 0
    }

    /// One of `parts` equal parts, rounded down, at least 1.
    pub(crate) fn share(mut self, parts: u32) -> Quota {
        self.limit = (self.limit / parts.max(1)).max(1);
        self.burst = (self.burst / parts.max(1)).max(1);
        self
    }

    /// A quota that denies whatever either of these two denies. Both have the same algorithm. If one of them is tighter in
    /// every respect, this is that one.
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

    /// How long `units` tokens take to refill: whole microseconds, and a remainder in units of `1 / limit` microsecond.
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

#[cfg(test)]
mod tests;
