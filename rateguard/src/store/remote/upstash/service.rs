//! Serving the jobs over a few connections: the checks that wait together are one call.

use std::sync::Arc;
use std::time::Duration;

use futures_timer::Delay;
use tokio::task::JoinSet;
use tokio::task::coop::unconstrained;

use super::client::{Call, Client, Outcome, hung_up};
use super::connection::{Connection, closed};
use super::endpoint::Endpoint;
use crate::error::StoreError;
use crate::store::remote::backlog::{Backlog, Turn};
use crate::store::remote::backoff::SETTLED;
use crate::store::remote::job::{BATCH, Job};
use crate::store::remote::worker::{self, End, Outage, PATIENCE};
use crate::telemetry;

/// The most connections, and so the most calls under way.
const CONNECTIONS: usize = 4;
/// How long to wait after a further connection could not be made.
const REST: Duration = Duration::from_millis(500);

/// Makes connections.
pub(crate) struct Connector {
    endpoint: Arc<Endpoint>,
    deadline: Duration,
    prefix: String,
}

/// A service that is ready for calls of the scripts, and the first connection to it.
pub(crate) struct Ready {
    connection: Connection,
    client: Arc<Client>,
}

/// What one of the tasks has done.
enum Done {
    Opened(Result<Connection, StoreError>),
    Rested,
    Called(Call),
}

impl Connector {
    pub(super) fn new(endpoint: Arc<Endpoint>, deadline: Duration, prefix: &str) -> Connector {
        Connector { endpoint, deadline, prefix: prefix.to_owned() }
    }
}

impl worker::Connector for Connector {
    type Connection = Ready;

    async fn connect(&mut self) -> Result<Ready, StoreError> {
        let mut connection = Connection::open(&self.endpoint).await?;
        let endpoint = Arc::clone(&self.endpoint);
        let client = Client::prepare(endpoint, self.deadline, &self.prefix, &mut connection).await?;
        Ok(Ready { connection, client: Arc::new(client) })
    }

    async fn serve(&self, ready: Ready, outage: &mut Outage, backlog: &mut Backlog) -> End {
        let mut service = Service {
            client: ready.client,
            idle: vec![ready.connection],
            busy: 0,
            opening: false,
            tasks: JoinSet::new(),
            failures: 0,
            usual: Duration::ZERO,
        };
        let end = unconstrained(service.serve(outage, backlog)).await;
        // Calls in flight still complete, each within its deadline. At the end there are none.
        if !matches!(end, End::Finished) {
            service.tasks.detach_all();
        }
        end
    }
}

/// The connections, and the calls under way on them.
struct Service {
    client: Arc<Client>,
    idle: Vec<Connection>,
    busy: usize,
    opening: bool,
    tasks: JoinSet<Done>,
    /// Failed calls in a row.
    failures: u32,
    /// How long a call usually takes.
    usual: Duration,
}

impl Service {
    async fn serve(&mut self, outage: &mut Outage, backlog: &mut Backlog) -> End {
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
                    Ok(done) => self.take(done, backlog),
                    Err(_) => None,
                },
                connection = closed(&mut self.idle) => {
                    // Services close idle connections. One that closes a new connection is failing.
                    if connection.is_young() { self.failed(hung_up()) } else { None }
                }
                turn = backlog.turn(self.busy > 0) => match turn {
                    Turn::Ended => return End::Finished,
                    Turn::Jobs | Turn::Tick => None,
                },
            };
            if let Some(error) = lost {
                return End::Lost(error.outage());
            }
            self.call(backlog);
            self.open();
        }
    }

    /// Sends the waiting jobs, if a connection is idle.
    fn call(&mut self, backlog: &mut Backlog) {
        while backlog.len() > 0 {
            let Some(connection) = self.idle.pop() else { return };
            let expected = (self.busy > 0).then_some(self.usual);
            let taken = backlog.take(BATCH, expected);
            let now = backlog.now();
            let batch: Vec<Job> = taken.into_iter().map(|waiting| waiting.into_job(now)).collect();
            if batch.is_empty() {
                self.idle.push(connection);
                continue;
            }
            self.busy += 1;
            telemetry::batch(batch.len());
            let client = Arc::clone(&self.client);
            let unfinished = backlog.unfinished();
            self.tasks.spawn(async move {
                let call = client.call(connection, batch).await;
                drop(unfinished);
                Done::Called(call)
            });
        }
    }

    /// Opens a further connection before a job needs it.
    fn open(&mut self) {
        if self.idle.is_empty() && !self.opening && self.busy < CONNECTIONS {
            self.opening = true;
            let client = Arc::clone(&self.client);
            self.tasks.spawn(async move { Done::Opened(Connection::open(client.endpoint()).await) });
        }
    }

    /// Takes back what a task had. Returns an error if the service cannot be used any more.
    fn take(&mut self, done: Done, backlog: &mut Backlog) -> Option<StoreError> {
        match done {
            Done::Opened(Ok(connection)) => {
                self.opening = false;
                self.idle.push(connection);
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
            Done::Called(Call { connection, outcome, took }) => {
                self.busy -= 1;
                self.usual = (self.usual * 7 + took) / 8;
                self.idle.extend(connection);
                match outcome {
                    Outcome::Answered => {
                        self.failures = 0;
                        None
                    }
                    Outcome::Failed(error) => self.failed(error),
                    Outcome::Lost(error) => Some(error),
                    Outcome::Unsent { jobs, was_young } => {
                        backlog.put_back(jobs);
                        if was_young { self.failed(hung_up()) } else { None }
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
