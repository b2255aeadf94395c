//! The task that owns the connection to a server: it connects, serves the jobs, and connects again.
//!
//! While the server cannot be reached, requests are told so at once and cost nothing; only this task keeps trying, with a
//! backoff. That makes it a circuit breaker: it opens when the connection breaks or is given up after calls without an
//! answer, attempts to connect are its probes, and it closes when one of them succeeds. An answer that is an error (out of
//! memory, a forbidden command) does not open it: the answer came in time, may concern some keys only, and the first check
//! after the cause is removed is counted.
//!
//! A call that may have run is never sent again.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::backoff::{Backoff, SETTLED};
use super::breaker::Health;
use super::stopwatch::within;
use crate::error::StoreError;
use crate::telemetry;

/// After this many calls in a row without an answer, or this many deadlines of silence, the server is given up.
pub(crate) const PATIENCE: u32 = 3;

/// How long everything before the first check may take: resolving the name, connecting, loading the scripts, and whatever
/// has to be tried twice.
const CONNECT_ALL: Duration = Duration::from_secs(3);

/// Why a connection is no longer served.
pub(crate) enum End {
    /// The last handle to the store is gone, or the limiter was closed, and every job is answered.
    Finished,
    /// The server closed a connection that no call was using, as servers do with idle connections.
    #[cfg(feature = "redis")]
    Closed,
    /// The connection cannot be used any more.
    Lost(StoreError),
}

/// Makes connections to a server, and serves them.
pub(crate) trait Connector: Send + Sync + 'static {
    type Connection: Send;

    /// Connects, and finds out whether the server would count. It may be dropped at any await.
    fn connect(&mut self) -> impl Future<Output = Result<Self::Connection, StoreError>> + Send;

    /// Answers the jobs for as long as the connection can be used.
    fn serve(
        &self,
        connection: Self::Connection,
        outage: &mut Outage,
        backlog: &mut Backlog,
    ) -> impl Future<Output = End> + Send;

    /// Called when the server cannot be reached.
    fn lost(&self) {}
}

/// Runs until the last handle to the store is gone, or the limiter is closed. The log calls the server `name`.
pub(crate) async fn run<C: Connector>(mut connector: C, name: String, health: Arc<Health>, mut backlog: Backlog) {
    let mut outage = Outage::new(name);
    loop {
        let connecting = within(CONNECT_ALL, connector.connect());
        let Some(connected) = backlog.while_waiting(connecting).await else { return };
        let lost = match connected.unwrap_or_else(|| Err(StoreError::timed_out())) {
            Ok(connection) => {
                health.up();
                outage.answers();
                match connector.serve(connection, &mut outage, &mut backlog).await {
                    End::Finished => return,
                    // No job has failed, so this is not an outage yet. Jobs that come now wait for the next connection,
                    // within their deadline; if it cannot be made, the outage begins.
                    #[cfg(feature = "redis")]
                    End::Closed => continue,
                    End::Lost(error) => error,
                }
            }
            Err(error) => error.outage(),
        };
        health.down(&lost);
        connector.lost();
        backlog.fail(&lost);
        let pause = outage.goes_on(&lost);
        if backlog.pause(pause, &lost).await.is_none() {
            return;
        }
    }
}

/// Reports an outage: one line when it begins, one when it is over.
pub(crate) struct Outage {
    server: String,
    since: Option<Instant>,
    backoff: Backoff,
}

impl Outage {
    fn new(server: String) -> Outage {
        Outage { server, since: None, backoff: Backoff::default() }
    }

    /// How long to wait before the next attempt.
    fn goes_on(&mut self, error: &StoreError) -> Duration {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            warn(&self.server, error);
        }
        telemetry::breaker(&self.server, true);
        self.backoff.next()
    }

    /// The server answers; whether it keeps doing so is not known yet.
    fn answers(&self) {
        telemetry::breaker(&self.server, false);
    }

    /// The connection has lasted: the outage, if there was one, is over.
    pub(crate) fn settled(&mut self) {
        self.answers();
        self.backoff.reset();
        if let Some(since) = self.since.take() {
            tracing::info!(
                store = self.server,
                seconds = since.elapsed().saturating_sub(SETTLED).as_secs_f32(),
                "rateguard: the store answers again; limits are enforced"
            );
        }
    }
}

/// Logs that an outage begins.
pub(crate) fn warn(server: &str, error: &StoreError) {
    tracing::warn!(
        store = server,
        reason = error.kind().as_str(),
        error = %error,
        "rateguard: the store does not answer; until it does, the failure policy decides"
    );
}
