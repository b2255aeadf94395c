//! The task that owns the way to a server: connects, serves the queue, and connects again.
//!
//! While the server cannot be reached, requests are told so at once and cost nothing; this task alone keeps trying,
//! at growing intervals. So what it knows is the circuit breaker: it opens when the connection breaks or is given up
//! after calls without an answer, its attempts to connect are the probes, and it closes when one of them succeeds. An
//! answer that is an error (out of memory, a forbidden command) opens nothing: it came in time, costs its round trip
//! and no more, may concern some keys alone, and the first check after the cure is counted.
//!
//! A call that may have run is never sent again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::backlog::Queue;
use super::outage::Outage;
use super::queue::Health;
use super::stopwatch::within;
use crate::error::StoreError;

/// Calls in a row without an answer, or so many deadlines of silence, before the server is given up.
pub(crate) const PATIENCE: u32 = 3;

/// How long all that is needed before the first check may take: the name, the connection, the script, and whatever has to
/// be tried twice.
const CONNECT_ALL: Duration = Duration::from_secs(3);

/// Why a connection is no longer served.
pub(crate) enum End {
    /// The last handle is gone.
    Finished,
    /// The other end closed a connection on which nothing was under way, as servers do with idle ones.
    #[cfg(feature = "redis")]
    Closed,
    /// The connection is of no use.
    Lost(StoreError),
}

/// Makes connections to a server, and serves them.
pub(crate) trait Connector: Send + Sync + 'static {
    type Connection: Send;

    /// Connects, and sees whether the server would count. It may be given up at any point.
    fn connect(&mut self) -> impl Future<Output = Result<Self::Connection, StoreError>> + Send;

    /// Answers the queue for as long as the connection is of use.
    fn serve(
        &self,
        connection: Self::Connection,
        outage: &mut Outage,
        queue: &mut Queue,
    ) -> impl Future<Output = End> + Send;

    /// Whatever else there is to do when the server cannot be reached.
    fn lost(&self) {}
}

/// Runs until the last handle is gone. The server's name is for the log.
pub(crate) async fn supervise<C: Connector>(mut connector: C, server: String, health: Arc<Health>, mut queue: Queue) {
    let mut outage = Outage::new(server);
    loop {
        let connecting = within(CONNECT_ALL, connector.connect());
        let Some(connected) = queue.while_waiting(connecting).await else { return };
        let lost = match connected.unwrap_or_else(|| Err(StoreError::timed_out())) {
            Ok(connection) => {
                health.up();
                outage.answers();
                match connector.serve(connection, &mut outage, &mut queue).await {
                    End::Finished => return,
                    // Nobody was failed, so this is no outage yet. Whoever asks now waits for the attempt, within the
                    // deadline; if it fails, that begins one.
                    #[cfg(feature = "redis")]
                    End::Closed => continue,
                    End::Lost(error) => error,
                }
            }
            Err(error) => error.outage(),
        };
        health.down(&lost);
        connector.lost();
        queue.fail(&lost);
        let pause = outage.goes_on(&lost);
        if queue.rest(pause, &lost).await.is_none() {
            return;
        }
    }
}
