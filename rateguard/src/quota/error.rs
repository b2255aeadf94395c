//! What makes a quota invalid.

use std::fmt;
use std::time::Duration;

use super::Algorithm;

/// Why a quota is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaError {
    /// The limit is 0.
    ZeroLimit,
    /// The window is 0.
    ZeroWindow,
    /// The window is shorter than [`Quota::MIN_WINDOW`](crate::Quota::MIN_WINDOW).
    WindowTooShort(Duration),
    /// The window is longer than [`Quota::MAX_WINDOW`](crate::Quota::MAX_WINDOW).
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
    pub(super) const fn rule(self) -> &'static str {
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
