//! Errors of the configuration and of the store.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// An invalid setting. The message says what to write instead, and never shows a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: String,
    value: Option<String>,
    problem: String,
}

impl ConfigError {
    pub(crate) fn new(setting: impl Into<String>, value: impl Into<String>, problem: impl Into<String>) -> ConfigError {
        ConfigError { setting: setting.into(), value: Some(value.into()), problem: problem.into() }
    }

    /// An error that does not show the value, because it may be a secret.
    pub(crate) fn unshown(setting: impl Into<String>, problem: impl Into<String>) -> ConfigError {
        ConfigError { setting: setting.into(), value: None, problem: problem.into() }
    }

    /// The invalid setting: a method of the builder, or an environment variable.
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "rateguard: {} = {value:?}: {}", self.setting, self.problem),
            None => write!(f, "rateguard: {}: {}", self.setting, self.problem),
        }
    }
}

/// The same text as `Display`: a `main` that returns the error prints `Debug`, and so does `unwrap`.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {}

/// Why the store could not answer. The chapter on [outages](crate::guide::redis_outages) says what to do about each reason.
///
/// ```
/// use rateguard::StoreErrorKind;
///
/// assert_eq!(StoreErrorKind::OutOfMemory.as_str(), "out_of_memory");
/// assert_eq!("out_of_memory".parse(), Ok(StoreErrorKind::OutOfMemory));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// No connection could be made, or the connection was lost.
    Unreachable,
    /// No answer within the deadline.
    TimedOut,
    /// The server's certificate is not trusted, or the server rejected ours.
    Tls,
    /// The server rejected the password or the user.
    Authentication,
    /// The server's access rules forbid a command that the limiter needs.
    Forbidden,
    /// The server is out of memory.
    OutOfMemory,
    /// The key holds a value that the limiter did not write.
    WrongType,
    /// The server is a read-only replica.
    ReadOnly,
    /// The server accepts no writes: it cannot save to disk (`MISCONF`), or has too few replicas (`NOREPLICAS`).
    WritesDisabled,
    /// The server is loading its data or busy with a script, or no node of a cluster has the key.
    Busy,
    /// The server has as many connections as it allows (`maxclients`).
    TooManyClients,
    /// The service's own limit of requests per second, day or month is reached.
    Throttled,
    /// The answer does not come from the limiter's script: bytes were damaged on the way, or the server is not Redis.
    Protocol,
    /// More checks are waiting in this process than the store can answer in time.
    Overloaded,
    /// The task that asks the store does not run: the runtime that it was started on is blocked or idle.
    Stalled,
    /// There is no Tokio runtime for the connection.
    NoRuntime,
    /// The limiter was closed ([`RateGuard::close`](crate::RateGuard::close)).
    Closed,
    /// Anything else; the message says what.
    Other,
}

impl StoreErrorKind {
    const ALL: [StoreErrorKind; 18] = [
        StoreErrorKind::Unreachable,
        StoreErrorKind::TimedOut,
        StoreErrorKind::Tls,
        StoreErrorKind::Authentication,
        StoreErrorKind::Forbidden,
        StoreErrorKind::OutOfMemory,
        StoreErrorKind::WrongType,
        StoreErrorKind::ReadOnly,
        StoreErrorKind::WritesDisabled,
        StoreErrorKind::Busy,
        StoreErrorKind::TooManyClients,
        StoreErrorKind::Throttled,
        StoreErrorKind::Protocol,
        StoreErrorKind::Overloaded,
        StoreErrorKind::Stalled,
        StoreErrorKind::NoRuntime,
        StoreErrorKind::Closed,
        StoreErrorKind::Other,
    ];

    /// A short name for metrics' labels and logs, such as `timed_out`.
    pub const fn as_str(self) -> &'static str {
        match self {
            StoreErrorKind::Unreachable => "unreachable",
            StoreErrorKind::TimedOut => "timed_out",
            StoreErrorKind::Tls => "tls",
            StoreErrorKind::Authentication => "authentication",
            StoreErrorKind::Forbidden => "forbidden",
            StoreErrorKind::OutOfMemory => "out_of_memory",
            StoreErrorKind::WrongType => "wrong_type",
            StoreErrorKind::ReadOnly => "read_only",
            StoreErrorKind::WritesDisabled => "writes_disabled",
            StoreErrorKind::Busy => "busy",
            StoreErrorKind::TooManyClients => "too_many_clients",
            StoreErrorKind::Throttled => "throttled",
            StoreErrorKind::Protocol => "protocol",
            StoreErrorKind::Overloaded => "overloaded",
            StoreErrorKind::Stalled => "stalled",
            StoreErrorKind::NoRuntime => "no_runtime",
            StoreErrorKind::Closed => "closed",
            StoreErrorKind::Other => "other",
        }
    }
}

/// The name, as [`StoreErrorKind::as_str`] gives it.
impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads what [`StoreErrorKind::as_str`] gives.
impl FromStr for StoreErrorKind {
    type Err = UnknownNameError;

    fn from_str(name: &str) -> Result<StoreErrorKind, UnknownNameError> {
        let found = StoreErrorKind::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| UnknownNameError::new("reason", name, &StoreErrorKind::ALL.map(StoreErrorKind::as_str)))
    }
}

/// The store could not answer.
///
/// The message begins with the [kind](StoreError::kind) and contains all details. The
/// [source](std::error::Error::source) is the connection's error, such as an I/O error, if there is one.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    detail: Arc<str>,
    /// Whether this is the reason of an outage, which is logged once and not for each check.
    pub(crate) of_outage: bool,
    /// The client library's error.
    pub(crate) source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// Control characters are escaped: a line feed in a server's text must not start a new line in a log.
    pub(crate) fn new(kind: StoreErrorKind, detail: impl Into<Arc<str>>) -> StoreError {
        let detail: Arc<str> = detail.into();
        let detail = if detail.contains(char::is_control) { escaped(&detail).into() } else { detail };
        StoreError { kind, detail, of_outage: false, source: None }
    }

    pub(crate) fn is_of_outage(&self) -> bool {
        self.of_outage
    }

    pub(crate) fn other(detail: &str) -> StoreError {
        StoreError::new(StoreErrorKind::Other, detail)
    }

    /// Why the store could not answer.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    escaped
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A name that is not one of the known ones. The message lists those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownNameError(String);

impl UnknownNameError {
    pub(crate) fn new(what: &str, name: &str, known: &[&str]) -> UnknownNameError {
        UnknownNameError(format!("the {what} `{name}` is unknown: use one of {}", known.join(", ")))
    }
}

impl fmt::Display for UnknownNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UnknownNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_read_from_its_own_name() {
        assert_eq!(StoreErrorKind::ALL.len(), StoreErrorKind::Other as usize + 1, "none is missing");
        for kind in StoreErrorKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "slow".parse::<StoreErrorKind>().unwrap_err().to_string();
        assert!(error.starts_with("the reason `slow` is unknown: use one of unreachable, timed_out,"), "{error}");
    }

    #[test]
    fn a_text_with_control_characters_stays_on_one_line() {
        let error = StoreError::new(StoreErrorKind::Other, "ERR a\nb\u{1b}[31m");
        assert_eq!(error.to_string(), "other: ERR a\\nb\\u{1b}[31m");
    }
}
