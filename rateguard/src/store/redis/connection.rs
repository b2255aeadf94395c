//! The task that owns the connection: connects, serves the queue, and connects again.
//!
//! While the server cannot be reached, requests are told so at once and cost nothing; this task alone keeps trying,
//! at growing intervals. So what it knows is the circuit breaker: it opens when the connection breaks or is given up
//! after calls without an answer, its attempts to connect are the probes, and it closes when one of them succeeds. An
//! answer that is an error (out of memory, a forbidden command) opens nothing: it came in time, costs its round trip
//! and no more, may concern some keys alone, and the first check after the cure is counted.
//!
//! A call that may have run is never sent again.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::connect::{Connection, Connector, Settings};
use super::{Group, Job, reply, script};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::job::{BATCH, fail, tell, wait};
use crate::store::link::{Health, Server};
use crate::store::outage::Outage;
use crate::store::pace::SETTLED;
use crate::telemetry;

/// Calls in a row without an answer before the connection is given up.
const PATIENCE: u32 = 3;

/// Why a connection is no longer served.
enum End {
    /// The last handle is gone.
    Finished,
    /// The other end closed a connection on which nothing was under way, as servers do with idle ones.
    Closed,
    /// The connection is of no use.
    Lost(StoreError),
}

impl Server for Settings {
    fn serve(&self, health: Arc<Health>, jobs: mpsc::Receiver<Job>) -> impl Future<Output = ()> + Send + 'static {
        run(self.clone(), health, jobs)
    }
}

/// Runs until the last handle is gone.
async fn run(settings: Settings, health: Arc<Health>, mut jobs: mpsc::Receiver<Job>) {
    let deadline = settings.deadline;
    #[cfg(feature = "cluster")]
    let member = settings.member.clone();
    let mut outage = Outage::new(format!("{settings:?}"));
    let mut connector = Connector::new(settings);
    loop {
        let lost = match connector.connect().await {
            Ok(connection) => {
                health.up();
                outage.answers();
                match serve(connection, deadline, &mut outage, &mut jobs).await {
                    End::Finished => return,
                    // Nobody was failed, so this is no outage yet. Whoever asks now waits for the attempt, within the
                    // deadline; if it fails, that begins one.
                    End::Closed => continue,
                    End::Lost(error) => error,
                }
            }
            Err(error) => error.outage(),
        };
        health.down(&lost);
        #[cfg(feature = "cluster")]
        if let Some(member) = &member {
            member.lost();
        }
        let pause = outage.goes_on(&lost);
        if wait(&mut jobs, &lost, pause).await.is_none() {
            return;
        }
    }
}

async fn serve(
    mut connection: Connection,
    deadline: Duration,
    outage: &mut Outage,
    jobs: &mut mpsc::Receiver<Job>,
) -> End {
    let mut batch = Vec::with_capacity(BATCH);
    let mut unanswered = 0;
    let mut settled = false;
    let lasted = sleep(SETTLED);
    tokio::pin!(lasted);
    loop {
        // In this order, so that no load keeps the rest from being seen.
        let received = tokio::select! {
            biased;
            () = &mut lasted, if !settled => {
                settled = true;
                outage.settled();
                continue;
            }
            () = connection.closed() => return if settled { End::Closed } else { End::Lost(closed().outage()) },
            received = jobs.recv_many(&mut batch, BATCH) => received,
        };
        if received == 0 {
            return End::Finished;
        }
        batch.retain(|job| !job.is_abandoned());
        if batch.is_empty() {
            continue;
        }
        telemetry::batch(batch.len());
        let answered = timeout(deadline, decide(&mut connection, &mut batch)).await;
        match answered {
            Ok(Ok(None)) => unanswered = 0,
            Ok(Ok(Some(useless))) => return End::Lost(useless),
            Ok(Err(error)) => {
                if is_lost(&error) {
                    let error = reply::failed(error).outage();
                    fail(&mut batch, &error);
                    return End::Lost(error);
                }
                fail(&mut batch, &reply::failed(error));
                unanswered = 0;
            }
            Err(_) => {
                fail(&mut batch, &StoreError::timed_out());
                unanswered += 1;
                if unanswered == PATIENCE {
                    return End::Lost(StoreError::timed_out().outage());
                }
            }
        }
    }
}

/// Decides a batch in one call, and answers it. On an error the batch is still there to be told. An answer may show
/// that the connection is of no use: then that error comes back.
async fn decide(connection: &mut Connection, batch: &mut Vec<Job>) -> Result<Option<StoreError>, RedisError> {
    #[cfg(feature = "cluster")]
    if let Some(member) = connection.member.clone() {
        return super::cluster::calls::decide(connection, &member, batch).await;
    }
    let groups: Vec<&Group> = batch.iter().filter_map(Job::group).collect();
    let answers = if groups.is_empty() {
        redis::cmd("PING").query_async::<()>(&mut connection.link).await?;
        Ok(Vec::new())
    } else {
        let reply = match script::call(Some(&connection.sha), &groups).query_async(&mut connection.link).await {
            // It has not run, so this is no second time.
            Err(error) if script::is_unknown(&error) => {
                script::call(None, &groups).query_async(&mut connection.link).await?
            }
            answered => answered?,
        };
        reply::groups(reply, &groups)
    };
    let answers = match answers {
        Ok(answers) => answers,
        // Not the script's: the next answer may be to this call then, so there must be none.
        Err(error) => {
            let error = error.outage();
            fail(batch, &error);
            return Ok(Some(error));
        }
    };
    Ok(tell(batch, answers))
}

fn closed() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the server closed the connection")
}

/// Whether a new connection is needed, or could lead to a better server.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "NOAUTH" | "WRONGPASS"))
}
