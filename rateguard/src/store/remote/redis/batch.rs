//! The calls of one batch of jobs: one for each script, or for each slot of a cluster's node, all sent together.
//!
//! The keys that a call declares have to be in one slot, even if one node has several slots. So a call does not declare them if
//! the node is known to reject, one by one, those that it does not have (`undeclared`); a check with such a key is then sent
//! again with its key declared. Pipelined, calls of one slot each would still cost one round trip, but the server more time:
//! 64 calls of one check cost about twice as much as one call of 64 checks.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult, Value};
use smallvec::{SmallVec, smallvec};

use super::command;
use super::dispatch::Dispatch;
use super::error::{failed, is_lost};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::backlog::Waiting;
use crate::store::remote::job::Job;
use crate::store::remote::script::{Call, Group, GroupAnswer, Plan, Script, ScriptNames};

/// How often a call is sent again because the server did not have the script, and so did not run it. Somebody may flush the
/// server's scripts between two calls.
const ROUNDS: usize = 3;

/// Jobs whose calls are sent together.
#[derive(Debug)]
pub(super) struct Batch {
    jobs: Vec<Waiting>,
    /// For each call, how many jobs share it, from the first job on, and how it was made; no plan for a ping.
    calls: Vec<(usize, Option<Plan>)>,
    round: usize,
    /// Whether the calls contain the script's text.
    with_text: bool,
}

/// The commands of a batch.
pub(super) enum Commands {
    One(Cmd),
    Several(redis::Pipeline),
}

/// What is left to do after the answers to a batch.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Jobs that were not done, to be sent again.
    pub(super) again: Option<Batch>,
    /// Why the connection cannot be used any more.
    pub(super) lost: Option<StoreError>,
}

impl Batch {
    pub(super) fn new(mut jobs: Vec<Waiting>) -> Batch {
        // Jobs that share a call become neighbours.
        jobs.sort_by_key(|waiting| (waiting.job.script(), slot(&waiting.job)));
        Batch { jobs, calls: Vec::new(), round: 0, with_text: false }
    }

    /// What to send. `undeclared` says whether a call may have keys of several slots.
    pub(super) fn commands(&mut self, names: &ScriptNames, undeclared: bool) -> Commands {
        let mut pipeline = Vec::new();
        let mut any_asking = false;
        let mut sent_texts = Vec::new();
        self.calls.clear();
        for jobs in self.jobs.chunk_by(|one, next| share(&one.job, &next.job, undeclared)) {
            let groups: Vec<&Group> = jobs.iter().filter_map(|waiting| waiting.job.as_group()).collect();
            if groups.is_empty() {
                pipeline.push((false, redis::cmd("PING")));
                self.calls.push((jobs.len(), None));
                continue;
            }
            let asking = groups.iter().any(|group| group.route.asking);
            any_asking |= asking;
            for (jobs, call) in calls(&groups) {
                // The first call of a script contains its text for all of them.
                let command = if self.with_text && !sent_texts.contains(&call.script()) {
                    sent_texts.push(call.script());
                    command::by_text(&call)
                } else {
                    command::by_name(names, &call)
                };
                pipeline.push((asking, command));
                self.calls.push((jobs, Some(call.into_plan())));
            }
        }
        match pipeline.pop() {
            Some((false, only)) if pipeline.is_empty() && !any_asking => Commands::One(only),
            last => {
                let mut commands = redis::Pipeline::with_capacity(pipeline.len() + 1);
                for (asking, command) in pipeline.into_iter().chain(last) {
                    if asking {
                        commands.cmd("ASKING").ignore();
                    }
                    commands.add_command(command);
                }
                Commands::Several(commands)
            }
        }
    }

    /// Answers the jobs by the results of their calls.
    pub(super) fn answer(mut self, results: Vec<RedisResult<Value>>, dispatch: &impl Dispatch) -> Rest {
        let mut rest = Rest::default();
        let mut again = Vec::new();
        let mut with_text = false;
        let mut jobs = std::mem::take(&mut self.jobs).into_iter();
        for ((length, plan), result) in std::mem::take(&mut self.calls).into_iter().zip(results) {
            let mut jobs: Vec<Waiting> = jobs.by_ref().take(length).collect();
            // After a reply that is not the script's, later replies may belong to other calls.
            if let Some(error) = rest.lost.as_ref().filter(|error| error.kind() == StoreErrorKind::Protocol) {
                fail(&mut jobs, error);
                continue;
            }
            match result {
                Ok(reply) => match read(reply, &jobs, plan) {
                    Ok(answers) => answer(jobs, answers, &mut rest.lost, &mut again),
                    Err(error) => fail(&mut jobs, rest.lost.insert(error.outage())),
                },
                Err(error) if command::is_unknown_script(&error) && self.round + 1 < ROUNDS => {
                    with_text = true;
                    again.append(&mut jobs);
                }
                Err(error) if dispatch.is_redirect(&error) => {
                    dispatch.redirect(jobs.into_iter().map(|waiting| waiting.job).collect(), &error);
                }
                Err(error) => {
                    let is_lost = is_lost(&error);
                    let error = failed(error);
                    let error = if is_lost { rest.lost.insert(error.outage()).clone() } else { error };
                    fail(&mut jobs, &error);
                }
            }
        }
        // Every call has a result.
        jobs.for_each(|mut waiting| waiting.job.fail(StoreError::other("the server gave no answer to it")));
        // A request whose deadline has passed was told so, and has counted elsewhere.
        again.retain(|waiting| !waiting.job.is_abandoned());
        match &rest.lost {
            Some(error) => fail(&mut again, error),
            None if again.is_empty() => {}
            None => {
                let round = self.round + 1;
                rest.again = Some(Batch { round, with_text, ..Batch::new(again) });
            }
        }
        rest
    }

    /// Takes the time that the jobs have waited off what is left. Called before they are answered.
    pub(super) fn settle(&mut self, now: Duration) {
        for waiting in &mut self.jobs {
            waiting.settle(now);
        }
    }

    pub(super) fn fail(&mut self, error: &StoreError) {
        fail(&mut self.jobs, error);
    }

    /// Fails the jobs whose time is over. Their calls still run.
    pub(super) fn expire(&mut self, now: Duration) {
        for waiting in &mut self.jobs {
            if waiting.is_expired(now) {
                waiting.fail(now, &StoreError::timed_out());
            }
        }
    }
}

impl Commands {
    /// Sends them, and waits for the results without a deadline.
    pub(super) async fn send(self, mut connection: MultiplexedConnection) -> RedisResult<Vec<RedisResult<Value>>> {
        match self {
            Commands::One(command) => Ok(vec![command.query_async(&mut connection).await]),
            Commands::Several(mut commands) => commands.ignore_errors().query_async(&mut connection).await,
        }
    }
}

fn slot(job: &Job) -> Option<u16> {
    job.as_group().map(|group| group.route.slot)
}

fn share(one: &Job, next: &Job, undeclared: bool) -> bool {
    let can = slot(one) == slot(next) || (undeclared && one.script() == Some(Script::Check));
    can && one.script() == next.script() && !is_alone(one) && !is_alone(next)
}

/// The calls for groups of one script, and how many groups each has: one call if it can be, else one for each slot.
fn calls<'g>(groups: &'g [&'g Group]) -> SmallVec<[(usize, Call<'g>); 1]> {
    let is_same = |one: &&Group, next: &&Group| one.route.slot == next.route.slot;
    // A call of one slot declares its keys, so that a redirect is learned with it.
    let several = groups.chunk_by(is_same).nth(1).is_some();
    match several.then(|| Call::undeclared(groups)).flatten() {
        Some(call) => smallvec![(groups.len(), call)],
        None => groups.chunk_by(is_same).map(|groups| (groups.len(), Call::new(groups))).collect(),
    }
}

/// While a slot moves, a call of several keys can fail that succeeds for each key by itself.
fn is_alone(job: &Job) -> bool {
    job.as_group().is_some_and(|group| group.route.alone || group.route.asking)
}

fn read(reply: Value, jobs: &[Waiting], plan: Option<Plan>) -> Result<Vec<GroupAnswer>, StoreError> {
    let Some(plan) = plan else { return Ok(Vec::new()) };
    let groups: Vec<&Group> = jobs.iter().filter_map(|waiting| waiting.job.as_group()).collect();
    command::read(reply, &Call::with_plan(&groups, plan))
}

/// Answers each job. Jobs that the script has handed over are to be sent again.
fn answer(jobs: Vec<Waiting>, answers: Vec<GroupAnswer>, lost: &mut Option<StoreError>, again: &mut Vec<Waiting>) {
    let mut answers = answers.into_iter();
    for mut waiting in jobs {
        if waiting.job.as_group().is_none() {
            waiting.job.pong();
            continue;
        }
        // Every group has an answer.
        let answer =
            answers.next().unwrap_or_else(|| Some(Err(StoreError::other("the store answered another request"))));
        match waiting.job.answer(answer) {
            Ok(false) => {}
            Ok(true) => again.push(waiting),
            Err(error) => *lost = Some(error),
        }
    }
}

fn fail(jobs: &mut [Waiting], error: &StoreError) {
    for waiting in jobs {
        waiting.job.fail(error.clone());
    }
}
