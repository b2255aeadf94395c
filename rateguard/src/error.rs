//! What can go wrong outside a request: in the configuration, and in the store.

use std::fmt;
use std::sync::Arc;

/// A setting that cannot be used. Never shows a password.
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

    /// An error about a value that is better not shown.
    pub(crate) fn unshown(setting: impl Into<String>, problem: impl Into<String>) -> ConfigError {
        ConfigError { setting: setting.into(), value: None, problem: problem.into() }
    }

    /// The setting that is wrong: a method of the builder, or an environment variable.
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

/// The same sentence: it is what a `main` that returns the error prints, and what `unwrap` does.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

/// Why the store could not answer, as an operator would name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// No connection could be made, or it was lost.
    Unreachable,
    /// No answer within the deadline.
    TimedOut,
    /// The server's certificate is not to be trusted, or it did not accept ours.
    Tls,
    /// The server did not accept the password or the user.
    Authentication,
    /// The server's access rules forbid a command that the limiter needs.
    Forbidden,
    /// The server is out of memory.
    OutOfMemory,
    /// The key holds a value that the limiter did not write.
    WrongType,
    /// The server is a read-only replica.
    ReadOnly,
    /// The server refuses writes: it cannot save to disk (`MISCONF`), or has too few replicas (`NOREPLICAS`).
    WritesDisabled,
    /// The server is loading its data, or busy with a script; or no node of a cluster has the key.
    Busy,
    /// The server has as many connections as it allows (`maxclients`).
    TooManyClients,
    /// The service's own limit is reached: so many requests a second, a day or a month, by its plan.
    Throttled,
    /// What came back is not what the limiter's script answers: bytes were damaged on the way, or the other end is no
    /// Redis.
    Protocol,
    /// More checks wait in this process than the store can answer in time.
    Overloaded,
    /// Nobody drives the task that asks the store: the runtime that it was started on is blocked or idle.
    Stalled,
    /// There is no Tokio runtime to run the connection on.
    NoRuntime,
    /// Anything else; the message says what.
    Other,
}

impl StoreErrorKind {
    /// A short name, fit for a metric's label.
    pub const fn name(self) -> &'static str {
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
            StoreErrorKind::Other => "other",
        }
    }
}

/// The store could not answer.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    detail: Arc<str>,
    of_outage: bool,
}

impl StoreError {
    /// What a server says may have line feeds in it, which must not begin lines of their own in a log.
    pub(crate) fn new(kind: StoreErrorKind, detail: impl Into<Arc<str>>) -> StoreError {
        let detail: Arc<str> = detail.into();
        let detail = if detail.contains(char::is_control) { escaped(&detail).into() } else { detail };
        StoreError { kind, detail, of_outage: false }
    }

    /// The same, as the reason of an outage, which is logged once and not for each check.
    #[cfg(feature = "_shared")]
    pub(crate) fn outage(mut self) -> StoreError {
        self.of_outage = true;
        self
    }

    /// Of a connection that could not be made, or was lost, by what the libraries say.
    #[cfg(feature = "_shared")]
    pub(crate) fn unreachable(detail: String) -> StoreError {
        // What rustls says comes as an error of the connection.
        let tls = detail.contains("invalid peer certificate") || detail.contains("received fatal alert");
        StoreError::new(if tls { StoreErrorKind::Tls } else { StoreErrorKind::Unreachable }, detail)
    }

    pub(crate) fn is_of_outage(&self) -> bool {
        self.of_outage
    }

    pub(crate) fn other(detail: &str) -> StoreError {
        StoreError::new(StoreErrorKind::Other, detail)
    }

    pub(crate) fn timed_out() -> StoreError {
        StoreError::new(StoreErrorKind::TimedOut, "no answer within the deadline")
    }

    /// What sort of failure it is.
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
        write!(f, "{}: {}", self.kind.name(), self.detail)
    }
}

impl std::error::Error for StoreError {}
