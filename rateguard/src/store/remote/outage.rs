//! What the log is told of an outage.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::{Pace, SETTLED};
use crate::error::{StoreError, StoreErrorKind};
use crate::telemetry;

impl StoreError {
    pub(crate) fn timed_out() -> StoreError {
        StoreError::new(StoreErrorKind::TimedOut, "no answer within the deadline")
    }

    /// The same, as the reason of an outage, which is logged once and not for each check.
    pub(crate) fn outage(mut self) -> StoreError {
        self.of_outage = true;
        self
    }

    /// Adds the client library's error. For errors of the connection only: what a server says is in the message, escaped.
    pub(crate) fn caused_by(mut self, source: Arc<dyn std::error::Error + Send + Sync>) -> StoreError {
        self.source = Some(source);
        self
    }

    /// A connection that could not be made, or was lost, in the words of the libraries.
    pub(crate) fn unreachable(detail: String) -> StoreError {
        // rustls reports its errors as errors of the connection.
        let is_tls = detail.contains("invalid peer certificate") || detail.contains("received fatal alert");
        StoreError::new(if is_tls { StoreErrorKind::Tls } else { StoreErrorKind::Unreachable }, detail)
    }
}

/// One line when it begins, one when it is over.
pub(crate) struct Outage {
    server: String,
    since: Option<Instant>,
    pace: Pace,
}

impl Outage {
    /// None yet, of this server.
    pub(crate) fn new(server: String) -> Outage {
        Outage { server, since: None, pace: Pace::default() }
    }

    /// How long to wait before the next attempt.
    pub(crate) fn goes_on(&mut self, error: &StoreError) -> Duration {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(
                store = self.server,
                reason = error.kind().as_str(),
                error = %error,
                "rateguard: the store does not answer; the failure policy does until it is back"
            );
        }
        telemetry::breaker(&self.server, true);
        self.pace.next()
    }

    /// The server answers; whether it goes on doing so is not known yet.
    pub(crate) fn answers(&self) {
        telemetry::breaker(&self.server, false);
    }

    /// The connection has lasted, so it is over.
    pub(crate) fn settled(&mut self) {
        self.answers();
        self.pace.settled();
        if let Some(since) = self.since.take() {
            tracing::info!(
                store = self.server,
                seconds = since.elapsed().saturating_sub(SETTLED).as_secs_f32(),
                "rateguard: the store answers again, limits are enforced"
            );
        }
    }
}
