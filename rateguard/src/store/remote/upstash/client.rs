//! Calls: a batch of jobs is decided over one connection.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde_json::Value;

use super::command;
use super::connection::{Connection, Unanswered};
use super::endpoint::Endpoint;
use super::reply::{self, Meaning, ServiceError};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::backlog::Waiting;
use crate::store::remote::job::Job;
use crate::store::remote::script::{self, Group, GroupAnswer, Script, ScriptNames};
use crate::store::remote::stopwatch::{Stopwatch, each_tick, tick};

/// What a call needs.
pub(super) struct Client {
    endpoint: Arc<Endpoint>,
    deadline: Duration,
    scripts: ScriptNames,
}

/// A finished call.
pub(super) struct Call {
    /// The connection, if it can be used again.
    pub(super) connection: Option<Connection>,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
}

pub(super) enum Outcome {
    /// The jobs were answered.
    Answered,
    /// The jobs were answered, and the service does not work well.
    Failed(StoreError),
    /// The jobs were answered, and the service cannot be used any more.
    Lost(StoreError),
    /// Nothing was sent: the connection had been closed, perhaps as soon as it was made.
    Unsent { jobs: Vec<Job>, was_young: bool },
}

/// Why a command has no result.
enum Failure {
    Unsent,
    Lost(StoreError),
    Service(ServiceError),
}

impl Client {
    /// Loads the scripts, and finds out whether the service would count.
    pub(super) async fn prepare(
        endpoint: Arc<Endpoint>,
        deadline: Duration,
        prefix: &str,
        connection: &mut Connection,
    ) -> Result<Client, StoreError> {
        let mut scripts = ScriptNames::default();
        for script in Script::ALL {
            let loaded = post(connection, &endpoint, command::of(&["SCRIPT", "LOAD", script.text()])).await;
            let Value::String(name) = loaded.map_err(Failure::into_error)? else { return Err(not_redis()) };
            scripts.set(script, name);
        }
        let client = Client { endpoint, deadline, scripts };
        let probe = Group::probe(prefix, "probe");
        let answers = client.ask(connection, &[&probe]).await.map_err(Failure::into_error)?;
        answers.into_iter().flatten().try_for_each(|answer| answer.map(|_| ()))?;
        Ok(client)
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Decides a batch, and answers its jobs. Each job fails when its own time is over; the service has its deadline.
    pub(super) async fn call(&self, mut connection: Connection, jobs: Vec<Job>) -> Call {
        let under_way = UnderWay::new(jobs, self.deadline);
        let decided = each_tick(
            tick(self.deadline),
            async {
                let outcome = self.decide(&mut connection, &under_way).await;
                let is_broken = matches!(outcome, Err(Failure::Unsent | Failure::Lost(_)));
                let is_reusable = !is_broken && connection.is_ready().await;
                (outcome, is_reusable)
            },
            || under_way.tick() < self.deadline,
        )
        .await;
        let took = under_way.took();
        // A connection on which a request is still under way is closed.
        let Some((outcome, is_reusable)) = decided else {
            under_way.fail(&StoreError::timed_out());
            return Call { connection: None, outcome: Outcome::Failed(StoreError::timed_out()), took };
        };
        let outcome = match outcome {
            Ok(None) => Outcome::Answered,
            Ok(Some(error)) => Outcome::Lost(error),
            Err(Failure::Unsent) => Outcome::Unsent { jobs: under_way.into_jobs(), was_young: connection.is_young() },
            Err(Failure::Lost(error)) => under_way.failed(Outcome::Failed(error.outage())),
            Err(Failure::Service(ServiceError { error, meaning })) => match meaning {
                Meaning::Lost => under_way.failed(Outcome::Lost(error.outage())),
                Meaning::Failing => under_way.failed(Outcome::Failed(error.outage())),
                Meaning::UnknownScript | Meaning::Answer => {
                    under_way.fail(&error);
                    Outcome::Answered
                }
            },
        };
        Call { connection: is_reusable.then_some(connection), outcome, took }
    }

    /// On a failure, the jobs that are left are not answered yet. Returns an error if an answer shows that the service cannot
    /// be used any more; then all jobs were answered.
    async fn decide(&self, connection: &mut Connection, under_way: &UnderWay) -> Result<Option<StoreError>, Failure> {
        while let Some(groups) = under_way.next() {
            let groups: Vec<&Group> = groups.iter().collect();
            let answers = self.ask(connection, &groups).await?;
            if let Some(lost) = under_way.answer(answers) {
                return Ok(Some(lost));
            }
        }
        Ok(None)
    }

    async fn ask(&self, connection: &mut Connection, groups: &[&Group]) -> Result<Vec<GroupAnswer>, Failure> {
        if groups.is_empty() {
            post(connection, &self.endpoint, command::of(&["PING"])).await?;
            return Ok(Vec::new());
        }
        let call = script::Call::new(groups);
        let by_name = command::by_name(self.scripts.get(call.script()), &call);
        let result = match post(connection, &self.endpoint, by_name).await {
            // The script has not run, so this does not charge twice.
            Err(Failure::Service(ServiceError { meaning: Meaning::UnknownScript, .. })) => {
                post(connection, &self.endpoint, command::by_text(&call)).await?
            }
            answered => answered?,
        };
        let failing = |error| Failure::Service(ServiceError { error, meaning: Meaning::Failing });
        reply::groups(result, &call).map_err(failing)
    }
}

/// A batch that is being decided, and the time that it takes. Locked for moments, never across an await.
struct UnderWay(Mutex<Deciding>);

struct Deciding {
    /// Those of the current request come first.
    jobs: Vec<Waiting>,
    /// How many jobs the current request decides.
    share: usize,
    stopwatch: Stopwatch,
}

impl UnderWay {
    fn new(jobs: Vec<Job>, deadline: Duration) -> UnderWay {
        let jobs = jobs.into_iter().map(|job| Waiting::new(job, Duration::ZERO)).collect();
        UnderWay(Mutex::new(Deciding { jobs, share: 0, stopwatch: Stopwatch::new(tick(deadline)) }))
    }

    fn lock(&self) -> MutexGuard<'_, Deciding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The groups of the next request; `None` if no job is left.
    fn next(&self) -> Option<Vec<Group>> {
        let mut deciding = self.lock();
        let Deciding { jobs, share, .. } = &mut *deciding;
        jobs.retain(|waiting| !waiting.job.is_abandoned());
        if jobs.is_empty() {
            return None;
        }
        // Pings go with any script. `check.lua` comes first.
        jobs.sort_by_key(|waiting| waiting.job.script());
        let first = jobs.iter().find_map(|waiting| waiting.job.script());
        *share = jobs.partition_point(|waiting| waiting.job.script() <= first);
        Some(jobs.iter().take(*share).filter_map(|waiting| waiting.job.as_group().cloned()).collect())
    }

    /// Answers the jobs of the current request. Those that the script has handed over stay for the next one.
    fn answer(&self, answers: Vec<GroupAnswer>) -> Option<StoreError> {
        let mut deciding = self.lock();
        let now = deciding.stopwatch.now();
        let share = deciding.share.min(deciding.jobs.len());
        let mut again = deciding.jobs.split_off(share);
        let mut answers = answers.into_iter();
        let mut lost = None;
        for mut waiting in mem::take(&mut deciding.jobs) {
            waiting.settle(now);
            if waiting.job.as_group().is_none() {
                waiting.job.pong();
                continue;
            }
            let none = || Some(Err(StoreError::other("the store answered another request")));
            match waiting.job.answer(answers.next().unwrap_or_else(none)) {
                Ok(false) => {}
                Ok(true) => again.push(waiting),
                Err(error) => lost = Some(error),
            }
        }
        if let Some(error) = &lost {
            for waiting in &mut again {
                waiting.fail(now, error);
            }
        }
        deciding.jobs = again;
        lost
    }

    /// Time has passed: fails the jobs whose time is over. Returns how long the call has taken so far.
    fn tick(&self) -> Duration {
        let mut deciding = self.lock();
        let now = deciding.stopwatch.look(Instant::now());
        for waiting in deciding.jobs.iter_mut().filter(|waiting| waiting.is_expired(now)) {
            waiting.fail(now, &StoreError::timed_out());
        }
        now
    }

    fn took(&self) -> Duration {
        self.lock().stopwatch.now()
    }

    fn fail(&self, error: &StoreError) {
        let mut deciding = self.lock();
        let now = deciding.stopwatch.now();
        deciding.jobs.iter_mut().for_each(|waiting| waiting.fail(now, error));
    }

    /// Fails the jobs with the error of this outcome.
    fn failed(&self, outcome: Outcome) -> Outcome {
        if let Outcome::Failed(error) | Outcome::Lost(error) = &outcome {
            self.fail(error);
        }
        outcome
    }

    /// The jobs that were not answered yet.
    fn into_jobs(self) -> Vec<Job> {
        let Deciding { jobs, stopwatch, .. } = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let now = stopwatch.now();
        jobs.into_iter().map(|waiting| waiting.into_job(now)).filter(|job| !job.is_abandoned()).collect()
    }
}

async fn post(connection: &mut Connection, endpoint: &Endpoint, command: Bytes) -> Result<Value, Failure> {
    match connection.post(endpoint, command).await {
        Ok((status, body)) => reply::result(endpoint, status, &body).map_err(Failure::Service),
        Err(Unanswered::Unsent) => Err(Failure::Unsent),
        Err(Unanswered::Lost(error)) => Err(Failure::Lost(error)),
    }
}

impl Failure {
    fn into_error(self) -> StoreError {
        match self {
            Failure::Unsent => hung_up(),
            Failure::Lost(error) | Failure::Service(ServiceError { error, .. }) => error,
        }
    }
}

pub(super) fn hung_up() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the service closed the connection")
}

fn not_redis() -> StoreError {
    StoreError::new(StoreErrorKind::Protocol, "the service did not load the script")
}
