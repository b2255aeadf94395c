//! The task that owns the connection: connects, serves the queue, and connects again.
//!
//! While the server cannot be reached, requests are told so at once and cost nothing; this task alone keeps trying,
//! at growing intervals. A call that may have run is never sent again.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::link::{Health, Settings};
use super::{Group, Job, reply, script};
use crate::error::StoreError;

/// Requests that share a call at most.
const BATCH: usize = 64;
/// Calls in a row without an answer before the connection is given up.
const PATIENCE: u32 = 3;
const CONNECT: Duration = Duration::from_secs(1);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Why a connection is no longer served.
enum End {
    /// The last handle is gone.
    Finished,
    /// The connection is of no use.
    Lost(StoreError),
}

/// Runs until the last handle is gone.
pub(super) async fn run(settings: Settings, health: Arc<Health>, mut jobs: mpsc::Receiver<Job>) {
    let mut attempt = 0;
    loop {
        let lost = match connect(&settings).await {
            Ok((connection, sha)) => {
                if health.up() && attempt > 0 {
                    tracing::info!(store = ?settings, "rateguard: the store answers again, limits are enforced");
                }
                attempt = 0;
                match serve(connection, &sha, &settings, &mut jobs).await {
                    End::Finished => return,
                    End::Lost(error) => error,
                }
            }
            Err(error) => reply::failed(&error),
        };
        if health.down(&lost) {
            tracing::warn!(
                store = ?settings,
                reason = lost.kind().name(),
                error = %lost,
                "rateguard: the store does not answer; the failure policy does until it is back"
            );
        }
        if wait(&mut jobs, &lost, pause(attempt)).await.is_none() {
            return;
        }
        attempt += 1;
    }
}

async fn connect(settings: &Settings) -> Result<(MultiplexedConnection, String), RedisError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(CONNECT));
    let client = Client::open(settings.info.clone())?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let sha = redis::cmd("SCRIPT").arg("LOAD").arg(script::SCRIPT).query_async(&mut connection).await?;
    Ok((connection, sha))
}

async fn serve(
    mut connection: MultiplexedConnection,
    sha: &str,
    settings: &Settings,
    jobs: &mut mpsc::Receiver<Job>,
) -> End {
    let mut batch = Vec::with_capacity(BATCH);
    let mut unanswered = 0;
    loop {
        if jobs.recv_many(&mut batch, BATCH).await == 0 {
            return End::Finished;
        }
        batch.retain(|job| !job.is_abandoned());
        if batch.is_empty() {
            continue;
        }
        let answered = timeout(settings.deadline, decide(&mut connection, sha, &mut batch)).await;
        let error = match answered {
            Ok(Ok(())) => {
                unanswered = 0;
                continue;
            }
            Ok(Err(error)) => {
                let lost = is_lost(&error);
                let error = reply::failed(&error);
                fail(&mut batch, &error);
                if lost {
                    return End::Lost(error);
                }
                unanswered = 0;
                continue;
            }
            Err(_) => StoreError::timed_out(),
        };
        fail(&mut batch, &error);
        unanswered += 1;
        if unanswered == PATIENCE {
            return End::Lost(error);
        }
    }
}

/// Decides a batch in one call, and answers it. On an error the batch is still there to be told.
async fn decide(connection: &mut MultiplexedConnection, sha: &str, batch: &mut Vec<Job>) -> Result<(), RedisError> {
    let groups: Vec<&Group> = batch.iter().filter_map(Job::group).collect();
    let answers = if groups.is_empty() {
        redis::cmd("PING").query_async::<()>(connection).await?;
        Ok(Vec::new())
    } else {
        let reply = match script::call(Some(sha), &groups).query_async(connection).await {
            // It has not run, so this is no second time.
            Err(error) if script::is_unknown(&error) => script::call(None, &groups).query_async(connection).await?,
            answered => answered?,
        };
        reply::groups(reply, &groups)
    };
    let mut answers = match answers {
        Ok(answers) => answers.into_iter(),
        Err(error) => {
            fail(batch, &error);
            return Ok(());
        }
    };
    for job in batch.drain(..) {
        // Whoever has gone meanwhile does not need the answer.
        let _ = match job {
            Job::Group(_, reply) => answers.next().map(|answer| reply.send(answer).is_ok()),
            Job::Ping(reply) => Some(reply.send(Ok(())).is_ok()),
        };
    }
    Ok(())
}

fn fail(batch: &mut Vec<Job>, error: &StoreError) {
    for job in batch.drain(..) {
        job.fail(error.clone());
    }
}

/// Whether a new connection is needed, or could lead to a better server.
fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "NOAUTH" | "WRONGPASS"))
}

/// Waits before the next attempt; whoever asks meanwhile is told why. `None` once the last handle is gone.
async fn wait(jobs: &mut mpsc::Receiver<Job>, reason: &StoreError, pause: Duration) -> Option<()> {
    let pause = sleep(pause);
    tokio::pin!(pause);
    loop {
        tokio::select! {
            () = &mut pause => return Some(()),
            job = jobs.recv() => job?.fail(reason.clone()),
        }
    }
}

/// Twice as long with each attempt, and anything between half and all of it, so that many servers do not come at once.
fn pause(attempt: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << attempt.min(10)).min(LONGEST_WAIT);
    let thousandths = u32::try_from(RandomState::new().hash_one(attempt) % 500).unwrap_or(0);
    longest.mul_f64(0.5 + f64::from(thousandths) / 1000.0)
}
