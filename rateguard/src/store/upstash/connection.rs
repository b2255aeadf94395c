//! Serving the queue over a few connections: the checks that wait together are one call.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::task::coop::unconstrained;

use super::lane::{Lane, Unanswered, closed};
use super::reply::{self, Meaning, Refused};
use super::{Endpoint, command};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::job::BATCH;
use crate::store::outage::Outage;
use crate::store::pace::SETTLED;
use crate::store::queue::{Queue, Turn, Waiting};
use crate::store::script::call::{Answered, Names};
use crate::store::script::{Call, Group, Script};
use crate::store::stopwatch::within;
use crate::store::supervise::{self, End, PATIENCE};
use crate::telemetry;

/// Connections at most, and so calls that are under way.
const LANES: usize = 4;
/// How long to do with the connections that there are when another could not be made.
const REST: Duration = Duration::from_millis(500);

/// Makes connections.
pub(crate) struct Connector {
    endpoint: Arc<Endpoint>,
    deadline: Duration,
    prefix: String,
}

/// A service that is ready for the script.
pub(crate) struct Connection {
    lane: Lane,
    caller: Arc<Caller>,
}

/// What a call needs.
struct Caller {
    endpoint: Arc<Endpoint>,
    deadline: Duration,
    scripts: Names,
}

/// What a task has done.
enum Done {
    Opened(Result<Lane, StoreError>),
    Rested,
    Called(Option<Lane>, Outcome, Duration),
}

/// What a call has come to.
enum Outcome {
    /// Those who asked were told.
    Answered,
    /// Those who asked were told, and the service does not seem well.
    Failed(StoreError),
    /// It is of no use to go on.
    Useless(StoreError),
    /// Nothing of it was sent, since the connection had been closed: perhaps as soon as it was made.
    Unsent { jobs: Vec<Waiting>, at_once: bool },
}

/// Why a call has no answer.
enum Failure {
    Unsent,
    Lost(StoreError),
    Refused(Refused),
}

impl Connector {
    pub(super) fn new(endpoint: Arc<Endpoint>, deadline: Duration, prefix: &str) -> Connector {
        Connector { endpoint, deadline, prefix: prefix.to_owned() }
    }
}

impl supervise::Connector for Connector {
    type Connection = Connection;

    async fn connect(&mut self) -> Result<Connection, StoreError> {
        let mut lane = Lane::open(&self.endpoint).await?;
        let mut scripts = Names::default();
        for script in Script::ALL {
            let loaded = post(&mut lane, &self.endpoint, command::of(&["SCRIPT", "LOAD", script.text()])).await;
            let Value::String(name) = loaded.map_err(Failure::into_error)? else { return Err(not_redis()) };
            scripts.set(script, name);
        }
        let caller = Arc::new(Caller { endpoint: Arc::clone(&self.endpoint), deadline: self.deadline, scripts });
        let probe = Group::probe(&self.prefix, "probe");
        let answers = caller.ask(&mut lane, &[&probe]).await.map_err(Failure::into_error)?;
        answers.into_iter().flatten().try_for_each(|answer| answer.map(|_| ()))?;
        Ok(Connection { lane, caller })
    }

    async fn serve(&self, connection: Connection, outage: &mut Outage, queue: &mut Queue) -> End {
        let Connection { lane, caller } = connection;
        let mut service = Service {
            caller,
            idle: vec![lane],
            busy: 0,
            opening: false,
            tasks: JoinSet::new(),
            failures: 0,
            usual: Duration::ZERO,
        };
        let end = unconstrained(service.serve(outage, queue)).await;
        // Calls in flight still complete, each within its deadline.
        service.tasks.detach_all();
        end
    }
}

/// The connections, and what is under way on them.
struct Service {
    caller: Arc<Caller>,
    idle: Vec<Lane>,
    busy: usize,
    opening: bool,
    tasks: JoinSet<Done>,
    /// In a row.
    failures: u32,
    /// How long a call takes.
    usual: Duration,
}

impl Service {
    async fn serve(&mut self, outage: &mut Outage, queue: &mut Queue) -> End {
        let mut settled = false;
        let mut lasted = Delay::new(SETTLED);
        loop {
            let lost = tokio::select! {
                biased;
                () = &mut lasted, if !settled => {
                    settled = true;
                    outage.settled();
                    None
                }
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.take(done, queue),
                    Err(_) => None,
                },
                lane = closed(&mut self.idle) => {
                    // As services do with idle ones; but one that hangs up at once is not well.
                    if lane.is_young() { self.failed(hung_up()) } else { None }
                }
                turn = queue.turn(false) => match turn {
                    Turn::Ended => return End::Finished,
                    Turn::Jobs | Turn::Tick => None,
                },
            };
            if let Some(error) = lost {
                return End::Lost(error.outage());
            }
            self.call(queue);
            self.open();
        }
    }

    /// Sends what waits, if a connection is free.
    fn call(&mut self, queue: &mut Queue) {
        while queue.len() > 0 {
            let Some(lane) = self.idle.pop() else { return };
            let expected = (self.busy > 0).then_some(self.usual);
            let batch = queue.take(BATCH, expected);
            if batch.is_empty() {
                self.idle.push(lane);
                continue;
            }
            self.busy += 1;
            telemetry::batch(batch.len());
            self.tasks.spawn(Arc::clone(&self.caller).call(lane, batch));
        }
    }

    /// Has another connection made before anybody needs it.
    fn open(&mut self) {
        if self.idle.is_empty() && !self.opening && self.busy < LANES {
            self.opening = true;
            let caller = Arc::clone(&self.caller);
            self.tasks.spawn(async move { Done::Opened(Lane::open(&caller.endpoint).await) });
        }
    }

    /// Takes back what a task had. An error means that it is of no use to go on.
    fn take(&mut self, done: Done, queue: &mut Queue) -> Option<StoreError> {
        match done {
            Done::Opened(Ok(lane)) => {
                self.opening = false;
                self.idle.push(lane);
                None
            }
            Done::Opened(Err(error)) if self.idle.is_empty() && self.busy == 0 => Some(error),
            Done::Opened(Err(_)) => {
                self.tasks.spawn(async {
                    Delay::new(REST).await;
                    Done::Rested
                });
                None
            }
            Done::Rested => {
                self.opening = false;
                None
            }
            Done::Called(lane, outcome, took) => {
                self.busy -= 1;
                self.usual = (self.usual * 7 + took) / 8;
                self.idle.extend(lane);
                match outcome {
                    Outcome::Answered => {
                        self.failures = 0;
                        None
                    }
                    Outcome::Failed(error) => self.failed(error),
                    Outcome::Useless(error) => Some(error),
                    Outcome::Unsent { jobs, at_once } => {
                        queue.put_back(jobs);
                        if at_once { self.failed(hung_up()) } else { None }
                    }
                }
            }
        }
    }

    fn failed(&mut self, error: StoreError) -> Option<StoreError> {
        self.failures += 1;
        (self.failures >= PATIENCE).then_some(error)
    }
}

impl Caller {
    /// Decides a batch, and answers it.
    async fn call(self: Arc<Self>, mut lane: Lane, mut batch: Vec<Waiting>) -> Done {
        let started = Instant::now();
        let left = batch.iter().map(|waiting| waiting.job.left).max().unwrap_or(self.deadline);
        let decided = within(left, async {
            let outcome = self.decide(&mut lane, &mut batch).await;
            let reusable = !matches!(outcome, Err(Failure::Unsent | Failure::Lost(_))) && lane.is_ready().await;
            (outcome, reusable)
        })
        .await;
        // A connection with a request under way is closed with it.
        let Some((outcome, reusable)) = decided else {
            fail(&mut batch, &StoreError::timed_out(), left);
            return Done::Called(None, Outcome::Failed(StoreError::timed_out()), left);
        };
        let took = started.elapsed().min(left);
        let outcome = match outcome {
            Ok(None) => Outcome::Answered,
            Ok(Some(useless)) => Outcome::Useless(useless),
            Err(Failure::Unsent) => Outcome::Unsent { jobs: mem::take(&mut batch), at_once: lane.is_young() },
            Err(Failure::Lost(error)) => Outcome::Failed(error.outage()),
            Err(Failure::Refused(Refused { error, meaning })) => match meaning {
                Meaning::Useless => Outcome::Useless(error.outage()),
                Meaning::Unwell => Outcome::Failed(error.outage()),
                Meaning::UnknownScript | Meaning::Well => {
                    fail(&mut batch, &error, took);
                    Outcome::Answered
                }
            },
        };
        if let Outcome::Failed(error) | Outcome::Useless(error) = &outcome {
            fail(&mut batch, error, took);
        }
        Done::Called(reusable.then_some(lane), outcome, took)
    }

    /// On an error what is left of the batch is still there to be told. An answer may show that the service is of no
    /// use: then that error comes back.
    async fn decide(&self, lane: &mut Lane, batch: &mut Vec<Waiting>) -> Result<Option<StoreError>, Failure> {
        while !batch.is_empty() {
            // The quicker script first, and what asks for no script with any.
            batch.sort_by_key(|waiting| waiting.job.script());
            let first = batch.iter().find_map(|waiting| waiting.job.script());
            let share = batch.partition_point(|waiting| waiting.job.script() <= first);
            let groups: Vec<&Group> = batch.iter().take(share).filter_map(|waiting| waiting.job.work()).collect();
            let mut answers = self.ask(lane, &groups).await?.into_iter();
            let mut again = batch.split_off(share);
            for mut waiting in batch.drain(..) {
                if waiting.job.work().is_none() {
                    waiting.job.pong();
                    continue;
                }
                let none = || Some(Err(StoreError::other("the store answered another request")));
                match waiting.job.tell(answers.next().unwrap_or_else(none)) {
                    Ok(false) => {}
                    Ok(true) => again.push(waiting),
                    Err(useless) => return Ok(Some(useless)),
                }
            }
            *batch = again;
        }
        Ok(None)
    }

    async fn ask(&self, lane: &mut Lane, groups: &[&Group]) -> Result<Vec<Answered>, Failure> {
        if groups.is_empty() {
            post(lane, &self.endpoint, command::of(&["PING"])).await?;
            return Ok(Vec::new());
        }
        let call = Call::new(groups);
        let result = match post(lane, &self.endpoint, command::by_name(self.scripts.get(call.script()), &call)).await {
            // It has not run, so this is no second time.
            Err(Failure::Refused(Refused { meaning: Meaning::UnknownScript, .. })) => {
                post(lane, &self.endpoint, command::by_text(&call)).await?
            }
            answered => answered?,
        };
        let unwell = |error| Failure::Refused(Refused { error, meaning: Meaning::Unwell });
        reply::groups(result, &call).map_err(unwell)
    }
}

async fn post(lane: &mut Lane, endpoint: &Endpoint, command: axum::body::Bytes) -> Result<Value, Failure> {
    match lane.post(endpoint, command).await {
        Ok((status, body)) => reply::result(endpoint, status, &body).map_err(Failure::Refused),
        Err(Unanswered::Unsent) => Err(Failure::Unsent),
        Err(Unanswered::Lost(error)) => Err(Failure::Lost(error)),
    }
}

impl Failure {
    fn into_error(self) -> StoreError {
        match self {
            Failure::Unsent => hung_up(),
            Failure::Lost(error) | Failure::Refused(Refused { error, .. }) => error,
        }
    }
}

fn fail(batch: &mut [Waiting], error: &StoreError, waited: Duration) {
    for waiting in batch {
        waiting.job.spend(waited);
        waiting.job.fail(error.clone());
    }
}

fn hung_up() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the service closed the connection")
}

fn not_redis() -> StoreError {
    StoreError::new(StoreErrorKind::Protocol, "the service did not load the script")
}
