//! What the log is told of an outage.

use std::time::{Duration, Instant};

use super::backoff::{Pace, SETTLED};
use crate::error::StoreError;
use crate::telemetry;

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
                reason = error.kind().name(),
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
