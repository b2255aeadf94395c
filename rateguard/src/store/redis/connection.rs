//! Serving a connection: the checks that wait together are one call.

use std::time::Duration;

use redis::RedisError;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::connect::{Connection, Connector, Settings};
use super::{Group, Job, reply, script};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::job::{self, BATCH, fail};
use crate::store::link::Server;
use crate::store::outage::Outage;
use crate::store::pace::SETTLED;
use crate::store::script::Call;
use crate::store::script::call::Answered;
use crate::store::supervise::{End, PATIENCE};
use crate::telemetry;

impl Server for Settings {
    type Connector = Connector;

    fn connector(&self) -> Connector {
        Connector::new(self.clone())
    }
}

pub(super) async fn serve(
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

/// Decides a batch, in one call if it is all for one script, and answers it. On an error what is left of the batch is
/// still there to be told. An answer may show that the connection is of no use: then that error comes back.
async fn decide(connection: &mut Connection, batch: &mut Vec<Job>) -> Result<Option<StoreError>, RedisError> {
    #[cfg(feature = "cluster")]
    if let Some(member) = connection.member.clone() {
        return super::cluster::calls::decide(connection, &member, batch).await;
    }
    while !batch.is_empty() {
        let share = job::share(batch);
        let groups: Vec<&Group> = batch.iter().take(share).filter_map(Job::group).collect();
        let useless = match ask(connection, &groups).await? {
            Ok(answers) => job::tell_first(batch, share, answers),
            // Not the script's: the next answer may be to this call then, so there must be none.
            Err(error) => Some(error.outage()),
        };
        if let Some(error) = useless {
            fail(batch, &error);
            return Ok(Some(error));
        }
    }
    Ok(None)
}

/// One call. The inner error says that its answer is not the script's.
async fn ask(connection: &mut Connection, groups: &[&Group]) -> Result<Result<Vec<Answered>, StoreError>, RedisError> {
    if groups.is_empty() {
        redis::cmd("PING").query_async::<()>(&mut connection.link).await?;
        return Ok(Ok(Vec::new()));
    }
    let call = Call::new(groups);
    let reply = match script::by_name(&connection.scripts, &call).query_async(&mut connection.link).await {
        // It has not run, so this is no second time.
        Err(error) if script::is_unknown(&error) => script::by_text(&call).query_async(&mut connection.link).await?,
        answered => answered?,
    };
    Ok(reply::groups(reply, &call))
}

fn closed() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the server closed the connection")
}

/// Whether a new connection is needed, or could lead to a better server.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(reply::code(error).as_deref(), Some("READONLY" | "MASTERDOWN" | "NOAUTH" | "WRONGPASS"))
}
