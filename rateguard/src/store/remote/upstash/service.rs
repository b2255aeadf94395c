//! Serving the queue over a few connections: the checks that wait together are one call.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::task::coop::unconstrained;

use super::connection::{Lane, Unanswered, closed};
use super::reply::{self, Meaning, Refused};
use super::{Endpoint, command};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::backlog::{Queue, Turn, Waiting};
use crate::store::remote::backoff::SETTLED;
use crate::store::remote::job::{BATCH, Job};
use crate::store::remote::outage::Outage;
use crate::store::remote::script::call::{Answered, Names};
use crate::store::remote::script::{Call, Group, Script};
use crate::store::remote::stopwatch::{Stopwatch, each_tick, tick};
use crate::store::remote::worker::{self, End, PATIENCE};
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
    Unsent { jobs: Vec<Job>, at_once: bool },
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

impl worker::Connector for Connector {
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
            let taken = queue.take(BATCH, expected);
            let now = queue.now();
            // What they have waited here is a part of their time.
            let batch: Vec<Job> = taken.into_iter().map(|waiting| waiting.into_job(now)).collect();
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

/// A batch that is being decided, and the time that it takes. Locked for moments, never while something is waited for.
struct UnderWay(Mutex<Deciding>);

struct Deciding {
    /// First those that are asked for now.
    jobs: Vec<Waiting>,
    /// So many.
    share: usize,
    watch: Stopwatch,
}

impl UnderWay {
    fn new(jobs: Vec<Job>, deadline: Duration) -> UnderWay {
        let jobs = jobs.into_iter().map(|job| Waiting::new(job, Duration::ZERO)).collect();
        UnderWay(Mutex::new(Deciding { jobs, share: 0, watch: Stopwatch::new(tick(deadline)) }))
    }

    fn lock(&self) -> MutexGuard<'_, Deciding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to ask for now; `None` if nothing is left.
    fn next(&self) -> Option<Vec<Group>> {
        let mut deciding = self.lock();
        let Deciding { jobs, share, .. } = &mut *deciding;
        jobs.retain(|waiting| !waiting.job.is_abandoned());
        if jobs.is_empty() {
            return None;
        }
        // The quicker script first, and what asks for no script with any.
        jobs.sort_by_key(|waiting| waiting.job.script());
        let first = jobs.iter().find_map(|waiting| waiting.job.script());
        *share = jobs.partition_point(|waiting| waiting.job.script() <= first);
        Some(jobs.iter().take(*share).filter_map(|waiting| waiting.job.work().cloned()).collect())
    }

    /// Tells those who asked. What was handed over stays, to be asked for again.
    fn tell(&self, answers: Vec<Answered>) -> Option<StoreError> {
        let mut deciding = self.lock();
        let now = deciding.watch.now();
        let share = deciding.share.min(deciding.jobs.len());
        let mut again = deciding.jobs.split_off(share);
        let mut answers = answers.into_iter();
        let mut useless = None;
        for mut waiting in mem::take(&mut deciding.jobs) {
            waiting.settle(now);
            if waiting.job.work().is_none() {
                waiting.job.pong();
                continue;
            }
            let none = || Some(Err(StoreError::other("the store answered another request")));
            match waiting.job.tell(answers.next().unwrap_or_else(none)) {
                Ok(false) => {}
                Ok(true) => again.push(waiting),
                Err(error) => useless = Some(error),
            }
        }
        if let Some(error) = &useless {
            for waiting in &mut again {
                waiting.fail(now, error);
            }
        }
        deciding.jobs = again;
        useless
    }

    /// Time has passed: tells those whose time is over. How long it takes so far.
    fn tick(&self) -> Duration {
        let mut deciding = self.lock();
        let now = deciding.watch.look(Instant::now());
        for waiting in deciding.jobs.iter_mut().filter(|waiting| waiting.is_expired(now)) {
            waiting.fail(now, &StoreError::timed_out());
        }
        now
    }

    fn took(&self) -> Duration {
        self.lock().watch.now()
    }

    fn fail(&self, error: &StoreError) {
        let mut deciding = self.lock();
        let now = deciding.watch.now();
        deciding.jobs.iter_mut().for_each(|waiting| waiting.fail(now, error));
    }

    /// The same, with the error of this outcome.
    fn failed(&self, outcome: Outcome) -> Outcome {
        if let Outcome::Failed(error) | Outcome::Useless(error) = &outcome {
            self.fail(error);
        }
        outcome
    }

    /// Those that were not told yet.
    fn into_jobs(self) -> Vec<Job> {
        let Deciding { jobs, watch, .. } = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let now = watch.now();
        jobs.into_iter().map(|waiting| waiting.into_job(now)).filter(|job| !job.is_abandoned()).collect()
    }
}

impl Caller {
    /// Decides a batch, and answers it. Each request is told when its own time is over; the service has its deadline.
    async fn call(self: Arc<Self>, mut lane: Lane, jobs: Vec<Job>) -> Done {
        let under_way = UnderWay::new(jobs, self.deadline);
        let decided = each_tick(
            tick(self.deadline),
            async {
                let outcome = self.decide(&mut lane, &under_way).await;
                let reusable = !matches!(outcome, Err(Failure::Unsent | Failure::Lost(_))) && lane.is_ready().await;
                (outcome, reusable)
            },
            || under_way.tick() < self.deadline,
        )
        .await;
        let took = under_way.took();
        // A connection with a request under way is closed with it.
        let Some((outcome, reusable)) = decided else {
            under_way.fail(&StoreError::timed_out());
            return Done::Called(None, Outcome::Failed(StoreError::timed_out()), took);
        };
        let outcome = match outcome {
            Ok(None) => Outcome::Answered,
            Ok(Some(useless)) => Outcome::Useless(useless),
            Err(Failure::Unsent) => Outcome::Unsent { jobs: under_way.into_jobs(), at_once: lane.is_young() },
            Err(Failure::Lost(error)) => under_way.failed(Outcome::Failed(error.outage())),
            Err(Failure::Refused(Refused { error, meaning })) => match meaning {
                Meaning::Useless => under_way.failed(Outcome::Useless(error.outage())),
                Meaning::Unwell => under_way.failed(Outcome::Failed(error.outage())),
                Meaning::UnknownScript | Meaning::Well => {
                    under_way.fail(&error);
                    Outcome::Answered
                }
            },
        };
        Done::Called(reusable.then_some(lane), outcome, took)
    }

    /// On an error what is left of the batch is still there to be told. An answer may show that the service is of no
    /// use: then all were told, and that error comes back.
    async fn decide(&self, lane: &mut Lane, under_way: &UnderWay) -> Result<Option<StoreError>, Failure> {
        while let Some(groups) = under_way.next() {
            let groups: Vec<&Group> = groups.iter().collect();
            let answers = self.ask(lane, &groups).await?;
            if let Some(useless) = under_way.tell(answers) {
                return Ok(Some(useless));
            }
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

fn hung_up() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the service closed the connection")
}

fn not_redis() -> StoreError {
    StoreError::new(StoreErrorKind::Protocol, "the service did not load the script")
}
