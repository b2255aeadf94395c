//! A batch for a node of a cluster: a call for each slot, all of them in one go.
//!
//! The keys of one call have to be in one slot, whichever node has it. Pipelined, the calls cost one round trip all the
//! same; what they cost more is the server's time, about twice as much for 64 calls of one check as for one call of 64.

use redis::{RedisError, RedisResult, Value};

use super::node::Member;
use super::redirect::Redirect;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::job::{self, Job, fail};
use crate::store::redis::connect::Connection;
use crate::store::redis::connection::is_lost;
use crate::store::redis::{Group, reply, script};
use crate::store::script::Call;

/// How often a call that did not run is sent anew because the server has not seen the script. Somebody may empty its
/// store of scripts between two calls.
const ROUNDS: usize = 3;

/// Decides a batch, and answers it. On an error what is left of the batch is still there to be told. An answer may show
/// that the connection is of no use: then that error comes back.
pub(crate) async fn decide(
    connection: &mut Connection,
    member: &Member,
    batch: &mut Vec<Job>,
) -> Result<Option<StoreError>, RedisError> {
    let mut useless = None;
    let mut round = 0;
    let mut unknown = false;
    while !batch.is_empty() {
        // Jobs that share a call stand together.
        batch.sort_by_key(|job| (slot(job), job.script()));
        let calls = calls(batch);
        let results = send(connection, batch, &calls, unknown).await?;
        let mut again = Vec::new();
        for (length, result) in calls.into_iter().zip(results) {
            let mut jobs: Vec<Job> = batch.drain(..length.min(batch.len())).collect();
            // After an answer that is not the script's, none can be trusted to be where it belongs.
            if let Some(error) = useless.as_ref().filter(|error: &&StoreError| error.kind() == StoreErrorKind::Protocol)
            {
                fail(&mut jobs, error);
                continue;
            }
            match result {
                Ok(reply) => {
                    useless = tell(reply, &mut jobs).or(useless);
                    again.append(&mut jobs);
                }
                Err(error) if script::is_unknown(&error) && round + 1 < ROUNDS => {
                    unknown = true;
                    again.append(&mut jobs);
                }
                Err(error) => {
                    if let Some(mut redirect) = Redirect::of(&error, &member.address) {
                        // Redis 6.2 also says this if some of the keys are here, which only each by itself can show.
                        if matches!(redirect, Redirect::Ask(_)) && jobs.len() > 1 {
                            redirect = Redirect::TryAgain;
                        }
                        for job in jobs {
                            member.pass_on(job, &redirect);
                        }
                        continue;
                    }
                    let is_lost = is_lost(&error);
                    let error = reply::failed(error);
                    let error = if is_lost { useless.insert(error.outage()).clone() } else { error };
                    fail(&mut jobs, &error);
                }
            }
        }
        *batch = again;
        round += 1;
        if let Some(error) = &useless {
            fail(batch, error);
        }
    }
    Ok(useless)
}

/// How many jobs, from the first on, share each call.
fn calls(batch: &[Job]) -> Vec<usize> {
    let share = |one: &Job, next: &Job| {
        slot(one) == slot(next) && one.script() == next.script() && !is_alone(one) && !is_alone(next)
    };
    batch.chunk_by(share).map(<[Job]>::len).collect()
}

fn slot(job: &Job) -> Option<u16> {
    job.group().map(|group| group.route.slot)
}

/// Where the slot is on its way, a call of several keys can fail that succeeds for each of them.
fn is_alone(job: &Job) -> bool {
    job.group().is_some_and(|group| group.route.alone || group.route.asking)
}

async fn send(
    connection: &mut Connection,
    batch: &[Job],
    calls: &[usize],
    with_text: bool,
) -> Result<Vec<RedisResult<Value>>, RedisError> {
    let mut pipeline = redis::Pipeline::with_capacity(calls.len());
    let mut rest = batch;
    let mut brought = Vec::new();
    for length in calls {
        let (jobs, others) = rest.split_at_checked(*length).unwrap_or((rest, &[]));
        rest = others;
        let groups: Vec<&Group> = jobs.iter().filter_map(Job::group).collect();
        if groups.is_empty() {
            pipeline.cmd("PING");
            continue;
        }
        if groups.iter().any(|group| group.route.asking) {
            pipeline.cmd("ASKING").ignore();
        }
        let call = Call::new(&groups);
        // The first of those that the server does not know brings the text along for all.
        if with_text && !brought.contains(&call.script()) {
            brought.push(call.script());
            pipeline.add_command(script::by_text(&call));
        } else {
            pipeline.add_command(script::by_name(&connection.scripts, &call));
        }
    }
    pipeline.ignore_errors().query_async(&mut connection.link).await
}

/// Tells the jobs of one call what came of it. What was handed over stays.
fn tell(reply: Value, jobs: &mut Vec<Job>) -> Option<StoreError> {
    let groups: Vec<&Group> = jobs.iter().filter_map(Job::group).collect();
    let answers = if groups.is_empty() { Ok(Vec::new()) } else { reply::groups(reply, &Call::new(&groups)) };
    match answers {
        Ok(answers) => job::tell(jobs, answers),
        Err(error) => {
            let error = error.outage();
            fail(jobs, &error);
            Some(error)
        }
    }
}
