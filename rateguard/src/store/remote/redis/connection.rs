//! Serving a connection: the checks that wait together are one call.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_timer::Delay;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::{RedisError, RedisResult, Value};
use tokio::task::yield_now;

use super::calls::Batch;
use super::connect::{Connection, Connector, Settings};
use super::reply;
use super::window::Window;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::backlog::{Queue, Turn};
use crate::store::remote::backoff::SETTLED;
use crate::store::remote::job::BATCH;
use crate::store::remote::outage::Outage;
use crate::store::remote::queue::Server;
use crate::store::remote::worker::{End, PATIENCE};
use crate::telemetry;

/// After so many turns others have theirs.
const TURNS: u32 = 64;

impl Server for Settings {
    type Connector = Connector;

    fn connector(&self) -> Connector {
        Connector::new(self.clone())
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}

/// A batch that is under way.
struct Flight {
    number: u64,
    sent: Duration,
    batch: Batch,
}

/// The answer to the flight of that number.
type Landing = Pin<Box<dyn Future<Output = (u64, RedisResult<Vec<RedisResult<Value>>>)> + Send>>;

/// What is under way on a connection.
struct Flights {
    connection: Connection,
    deadline: Duration,
    under_way: VecDeque<Flight>,
    landings: FuturesUnordered<Landing>,
    next: u64,
    last_sent: Duration,
    /// When the server last said something.
    heard: Duration,
    window: Window,
}

pub(super) async fn serve(connection: Connection, deadline: Duration, outage: &mut Outage, queue: &mut Queue) -> End {
    let closed = connection.closed.clone();
    let mut closed = std::pin::pin!(closed.wait());
    let mut flights = Flights::new(connection, deadline);
    let mut turns: u32 = 0;
    let mut settled = false;
    let mut lasted = Delay::new(SETTLED);
    loop {
        // What has come is read before anybody is told that nothing came.
        let lost = tokio::select! {
            biased;
            Some((number, results)) = flights.landings.next() => flights.land(number, results, queue),
            () = &mut closed => {
                if settled && flights.under_way.is_empty() {
                    return End::Closed;
                }
                Some(connection_closed().outage())
            }
            () = &mut lasted, if !settled => {
                settled = true;
                outage.settled();
                None
            }
            turn = queue.turn(!flights.under_way.is_empty()) => match turn {
                Turn::Ended => return End::Finished,
                Turn::Jobs => None,
                Turn::Tick => flights.tick(queue),
            },
        };
        if let Some(error) = lost {
            flights.fail(&error);
            return End::Lost(error);
        }
        flights.send_what_waits(queue);
        turns = turns.wrapping_add(1);
        if turns.is_multiple_of(TURNS) {
            yield_now().await;
        }
    }
}

impl Flights {
    fn new(connection: Connection, deadline: Duration) -> Flights {
        Flights {
            connection,
            deadline,
            under_way: VecDeque::new(),
            landings: FuturesUnordered::new(),
            next: 0,
            last_sent: Duration::ZERO,
            heard: Duration::ZERO,
            window: Window::new(deadline),
        }
    }

    /// Sends as much of the queue as is of use now.
    fn send_what_waits(&mut self, queue: &mut Queue) {
        while queue.len() > 0 {
            let now = queue.now();
            let under_way = self.under_way.len();
            let is_full = queue.len() >= BATCH;
            if !self.window.allows(under_way, is_full, now.saturating_sub(self.last_sent)) {
                return;
            }
            // With nothing under way there is no telling how long an answer takes, but by asking.
            let expected = (under_way > 0).then(|| self.window.expected());
            let jobs = queue.take(BATCH, expected);
            if !jobs.is_empty() {
                telemetry::batch(jobs.len());
                self.send(Batch::new(jobs), now);
            }
        }
    }

    fn send(&mut self, mut batch: Batch, now: Duration) {
        let number = self.next;
        self.next += 1;
        self.last_sent = now;
        let answer = batch.commands(&self.connection.scripts).send(self.connection.link.clone());
        self.landings.push(Box::pin(async move { (number, answer.await) }));
        self.under_way.push_back(Flight { number, sent: now, batch });
    }

    /// Tells those who asked. An error means that the connection is of no use.
    fn land(
        &mut self,
        number: u64,
        results: RedisResult<Vec<RedisResult<Value>>>,
        queue: &mut Queue,
    ) -> Option<StoreError> {
        let now = queue.now();
        let at = self.under_way.iter().position(|flight| flight.number == number)?;
        let mut flight = self.under_way.remove(at)?;
        self.heard = now;
        self.window.answered(number, now.saturating_sub(flight.sent), queue.len() > 0, self.next);
        flight.batch.settle(now);
        match results {
            Ok(results) => {
                let rest = flight.batch.tell(results, self.connection.member.as_ref());
                if let Some(again) = rest.again {
                    self.send(again, now);
                }
                rest.useless
            }
            Err(error) => {
                let is_lost = is_lost(&error);
                let error = reply::failed(error);
                let error = if is_lost { error.outage() } else { error };
                flight.batch.fail(&error);
                is_lost.then_some(error)
            }
        }
    }

    /// Time has passed: tells those whose time is over. A server that has been silent for long is given up.
    fn tick(&mut self, queue: &mut Queue) -> Option<StoreError> {
        let now = queue.now();
        for flight in &mut self.under_way {
            flight.batch.expire(now);
        }
        let oldest = self.under_way.front()?;
        let silent = now.saturating_sub(oldest.sent.max(self.heard));
        (silent >= self.deadline * PATIENCE).then(|| StoreError::timed_out().outage())
    }

    fn fail(&mut self, error: &StoreError) {
        for flight in &mut self.under_way {
            flight.batch.fail(error);
        }
    }
}

fn connection_closed() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the server closed the connection")
}

/// Whether a new connection is needed, or could lead to a better server.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(reply::code(error).as_deref(), Some("READONLY" | "MASTERDOWN" | "NOAUTH" | "WRONGPASS"))
}
