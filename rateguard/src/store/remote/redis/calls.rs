//! The calls of a batch: one for each script, and on a cluster one for each slot, all of them in one go.
//!
//! The keys of one call have to be in one slot, whichever node has it. Pipelined, the calls cost one round trip all the
//! same; what they cost more is the server's time, about twice as much for 64 calls of one check as for one call of 64.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult, Value};

use super::cluster::{Member, Redirect};
use super::connection::is_lost;
use super::{Group, command, reply};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::backlog::Waiting;
use crate::store::remote::job::Job;
use crate::store::remote::script::Call;
use crate::store::remote::script::call::{Answered, Names, Plan};

/// How often a call that did not run is sent anew because the server has not seen the script. Somebody may empty its
/// store of scripts between two calls.
const ROUNDS: usize = 3;

/// Jobs that are decided by calls sent together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) jobs: Vec<Waiting>,
    /// How many jobs, from the first on, share each call, and how it was made; nothing for a mere question whether the
    /// server is there.
    calls: Vec<(usize, Option<Plan>)>,
    round: usize,
    /// Whether the calls bring the script's text along.
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
    /// The connection is of no use.
    pub(super) useless: Option<StoreError>,
}

impl Batch {
    pub(super) fn new(mut jobs: Vec<Waiting>) -> Batch {
        // Jobs that share a call stand together.
        jobs.sort_by_key(|waiting| (slot(&waiting.job), waiting.job.script()));
        Batch { jobs, calls: Vec::new(), round: 0, with_text: false }
    }

    /// What to send.
    pub(super) fn commands(&mut self, names: &Names) -> Commands {
        let mut pipeline = Vec::new();
        let mut asking = false;
        let mut brought = Vec::new();
        self.calls.clear();
        for jobs in self.jobs.chunk_by(|one, next| share(&one.job, &next.job)) {
            let groups: Vec<&Group> = jobs.iter().filter_map(|waiting| waiting.job.work()).collect();
            if groups.is_empty() {
                pipeline.push((false, redis::cmd("PING")));
                self.calls.push((jobs.len(), None));
                continue;
            }
            let is_asking = groups.iter().any(|group| group.route.asking);
            asking |= is_asking;
            let call = Call::new(&groups);
            // The first of those that the server does not know brings the text along for all.
            let command = if self.with_text && !brought.contains(&call.script()) {
                brought.push(call.script());
                command::by_text(&call)
            } else {
                command::by_name(names, &call)
            };
            pipeline.push((is_asking, command));
            self.calls.push((jobs.len(), Some(call.into_plan())));
        }
        match pipeline.pop() {
            Some((false, only)) if pipeline.is_empty() && !asking => Commands::One(only),
            last => {
                let mut commands = redis::Pipeline::with_capacity(pipeline.len() + 1);
                for (is_asking, command) in pipeline.into_iter().chain(last) {
                    if is_asking {
                        commands.cmd("ASKING").ignore();
                    }
                    commands.add_command(command);
                }
                Commands::Several(commands)
            }
        }
    }

    /// Tells the jobs what came of their calls.
    pub(super) fn tell(mut self, results: Vec<RedisResult<Value>>, member: Option<&Member>) -> Rest {
        let mut rest = Rest::default();
        let mut again = Vec::new();
        let mut with_text = false;
        let mut jobs = std::mem::take(&mut self.jobs).into_iter();
        for ((length, plan), result) in std::mem::take(&mut self.calls).into_iter().zip(results) {
            let mut jobs: Vec<Waiting> = jobs.by_ref().take(length).collect();
            // After an answer that is not the script's, none can be trusted to be where it belongs.
            if let Some(error) = rest.useless.as_ref().filter(|error| error.kind() == StoreErrorKind::Protocol) {
                fail(&mut jobs, error);
                continue;
            }
            match result {
                Ok(reply) => match read(reply, &jobs, plan) {
                    Ok(answers) => tell(jobs, answers, &mut rest.useless, &mut again),
                    Err(error) => fail(&mut jobs, rest.useless.insert(error.outage())),
                },
                Err(error) if command::is_unknown(&error) && self.round + 1 < ROUNDS => {
                    with_text = true;
                    again.append(&mut jobs);
                }
                Err(error) => {
                    let redirect = member.and_then(|member| Some((member, Redirect::of(&error, &member.address)?)));
                    if let Some((member, mut redirect)) = redirect {
                        // Redis 6.2 also says this if some of the keys are here, which only each by itself can show.
                        if matches!(redirect, Redirect::Ask(_)) && jobs.len() > 1 {
                            redirect = Redirect::TryAgain;
                        }
                        for waiting in jobs {
                            member.pass_on(waiting.job, &redirect);
                        }
                        continue;
                    }
                    let is_lost = is_lost(&error);
                    let error = reply::failed(error);
                    let error = if is_lost { rest.useless.insert(error.outage()).clone() } else { error };
                    fail(&mut jobs, &error);
                }
            }
        }
        // There is a result for every call.
        jobs.for_each(|mut waiting| waiting.job.fail(StoreError::other("the server gave no answer to it")));
        // Whoever's time was over before was told so, and has counted it elsewhere.
        again.retain(|waiting| !waiting.job.is_abandoned());
        match &rest.useless {
            Some(error) => fail(&mut again, error),
            None if again.is_empty() => {}
            None => {
                let round = self.round + 1;
                rest.again = Some(Batch { round, with_text, ..Batch::new(again) });
            }
        }
        rest
    }

    /// The time that its jobs have waited is known: before they are told anything.
    pub(super) fn settle(&mut self, now: Duration) {
        for waiting in &mut self.jobs {
            waiting.settle(now);
        }
    }

    pub(super) fn fail(&mut self, error: &StoreError) {
        fail(&mut self.jobs, error);
    }

    /// Tells those whose time is over. Their calls are under way all the same.
    pub(super) fn expire(&mut self, now: Duration) {
        for waiting in &mut self.jobs {
            if waiting.is_expired(now) {
                waiting.fail(now, &StoreError::timed_out());
            }
        }
    }
}

impl Commands {
    /// Sends them, and waits for as long as it takes.
    pub(super) async fn send(self, mut link: MultiplexedConnection) -> RedisResult<Vec<RedisResult<Value>>> {
        match self {
            Commands::One(command) => Ok(vec![command.query_async(&mut link).await]),
            Commands::Several(mut commands) => commands.ignore_errors().query_async(&mut link).await,
        }
    }
}

fn slot(job: &Job) -> Option<u16> {
    job.work().map(|group| group.route.slot)
}

fn share(one: &Job, next: &Job) -> bool {
    slot(one) == slot(next) && one.script() == next.script() && !is_alone(one) && !is_alone(next)
}

/// Where the slot is on its way, a call of several keys can fail that succeeds for each of them.
fn is_alone(job: &Job) -> bool {
    job.work().is_some_and(|group| group.route.alone || group.route.asking)
}

fn read(reply: Value, jobs: &[Waiting], plan: Option<Plan>) -> Result<Vec<Answered>, StoreError> {
    let Some(plan) = plan else { return Ok(Vec::new()) };
    let groups: Vec<&Group> = jobs.iter().filter_map(|waiting| waiting.job.work()).collect();
    reply::groups(reply, &Call::with_plan(&groups, plan))
}

/// Tells each job its own answer. What was handed over is to be sent again.
fn tell(jobs: Vec<Waiting>, answers: Vec<Answered>, useless: &mut Option<StoreError>, again: &mut Vec<Waiting>) {
    let mut answers = answers.into_iter();
    for mut waiting in jobs {
        if waiting.job.work().is_none() {
            waiting.job.pong();
            continue;
        }
        // There is an answer to every group.
        let answer =
            answers.next().unwrap_or_else(|| Some(Err(StoreError::other("the store answered another request"))));
        match waiting.job.tell(answer) {
            Ok(false) => {}
            Ok(true) => again.push(waiting),
            Err(error) => *useless = Some(error),
        }
    }
}

fn fail(jobs: &mut [Waiting], error: &StoreError) {
    for waiting in jobs {
        waiting.job.fail(error.clone());
    }
}
