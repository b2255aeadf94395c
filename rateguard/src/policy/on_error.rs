//! The failure policy: what answers a check when the store does not.

use std::fmt;
use std::str::FromStr;

use crate::error::UnknownNameError;

/// The failure policy: what answers a check when the store does not. The chapter on [outages](crate::guide::redis_outages)
/// compares the choices.
///
/// Its text form is `open`, `closed`, `local`, or `local_share(n)`:
///
/// ```
/// use rateguard::OnError;
///
/// assert_eq!("local_share(4)".parse(), Ok(OnError::local_share(4)));
/// assert_eq!(OnError::Open.to_string(), "open");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
#[doc(alias = "fail open")]
pub enum OnError {
    /// During an outage, allow the request: availability first. While the store is only too slow, too full or too busy, count
    /// in this process with the full quota.
    #[default]
    Open,
    /// Deny the request with `503 Service Unavailable` whenever the store gives no answer: protection first.
    Closed,
    /// Count in this process alone, with the full quota, until the store is back.
    Local,
    /// Count in this process alone, with this server's share of the quota: see [`OnError::local_share`].
    #[non_exhaustive]
    LocalShare {
        /// How many servers share the quota.
        servers: u32,
    },
}

impl OnError {
    /// Count in this process alone until the store is back, with `1/servers` of the quota, so that `servers` processes
    /// together allow what one quota allows.
    ///
    /// The share is rounded down, but is at least 1. A request whose cost is above the share, but not above the quota,
    /// takes the whole share. `0` and `1` mean the whole quota.
    ///
    /// ```
    /// # use rateguard::{OnError, RateGuard};
    /// let limiter = RateGuard::builder().redis("redis://127.0.0.1").on_error(OnError::local_share(4)).build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    pub const fn local_share(servers: u32) -> OnError {
        OnError::LocalShare { servers }
    }

    /// A stricter failure policy has a higher number.
    pub(crate) const fn strictness(self) -> u32 {
        match self {
            OnError::Open => 0,
            OnError::Local => 1,
            OnError::LocalShare { .. } => 2,
            OnError::Closed => 3,
        }
    }

    /// How many servers share the quota while this process counts alone; `None` if this process does not count.
    pub(crate) const fn local_parts(self) -> Option<u32> {
        match self {
            OnError::Local => Some(1),
            OnError::LocalShare { servers } => Some(servers),
            OnError::Open | OnError::Closed => None,
        }
    }
}

/// The text form.
impl fmt::Display for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OnError::Open => f.write_str("open"),
            OnError::Closed => f.write_str("closed"),
            OnError::Local => f.write_str("local"),
            OnError::LocalShare { servers } => write!(f, "local_share({servers})"),
        }
    }
}

/// Reads the text form.
impl FromStr for OnError {
    type Err = UnknownNameError;

    fn from_str(text: &str) -> Result<OnError, UnknownNameError> {
        let share = || text.strip_prefix("local_share(")?.strip_suffix(')')?.parse().ok();
        match text {
            "open" => Ok(OnError::Open),
            "closed" => Ok(OnError::Closed),
            "local" => Ok(OnError::Local),
            _ => share().map(OnError::local_share).ok_or_else(|| {
                UnknownNameError::new("failure policy", text, &["open", "closed", "local", "local_share(n)"])
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_policy_is_read_from_its_own_text() {
        for on_error in [OnError::Open, OnError::Closed, OnError::Local, OnError::local_share(12)] {
            assert_eq!(on_error.to_string().parse(), Ok(on_error));
        }
        for text in ["", "Open", "local_share", "local_share()", "local_share(-1)", "local_share(1"] {
            let error = text.parse::<OnError>().unwrap_err().to_string();
            assert!(error.ends_with("is unknown: use one of open, closed, local, local_share(n)"), "{error}");
        }
    }
}
