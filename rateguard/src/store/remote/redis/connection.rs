//! Serving a connection: the checks that wait together are one call.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_timer::Delay;
use redis::{RedisResult, Value};
use tokio::task::coop::unconstrained;
use tokio::task::yield_now;

use super::batch::Batch;
use super::connect::{Connection, Connector};
use super::dispatch::Dispatch;
use super::error::{failed, is_lost};
use super::undeclared::Undeclared;
use super::window::Window;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::backlog::{Backlog, Turn};
use crate::store::remote::backoff::SETTLED;
use crate::store::remote::job::BATCH;
use crate::store::remote::worker::{self, End, Outage, PATIENCE};
use crate::telemetry;

/// After this many turns, other tasks of the runtime run.
const TURNS: u32 = 64;

impl<D: Dispatch> worker::Connector for Connector<D> {
    type Connection = Connection;

    async fn connect(&mut self) -> Result<Connection, StoreError> {
        self.connection().await
    }

    async fn serve(&self, connection: Connection, outage: &mut Outage, backlog: &mut Backlog) -> End {
        // With Tokio's budget used up, it would look as if no answer had come. The loop yields by itself.
        unconstrained(serve(connection, self, outage, backlog)).await
    }

    fn lost(&self) {
        self.dispatch.lost();
    }
}

/// A batch that is under way.
struct Flight {
    number: u64,
    sent: Duration,
    batch: Batch,
    results: Pin<Box<dyn Future<Output = Results> + Send>>,
}

/// The results of the calls of a batch.
type Results = RedisResult<Vec<RedisResult<Value>>>;

/// What is under way on a connection.
struct Flights<'d, D> {
    connection: Connection,
    connector: &'d Connector<D>,
    undeclared: Undeclared,
    under_way: VecDeque<Flight>,
    next: u64,
    last_sent: Duration,
    /// When the server last answered.
    heard: Duration,
    window: Window,
}

async fn serve<D: Dispatch>(
    connection: Connection,
    connector: &Connector<D>,
    outage: &mut Outage,
    backlog: &mut Backlog,
) -> End {
    let closed = connection.closed.clone();
    let mut closed = std::pin::pin!(closed.wait());
    let mut flights = Flights::new(connection, connector);
    let mut turns: u32 = 0;
    let mut settled = false;
    let mut lasted = Delay::new(SETTLED);
    flights.refresh();
    // Jobs that waited for the connection do not wait for the next turn as well.
    flights.send_waiting(backlog);
    loop {
        let busy = !flights.under_way.is_empty();
        // Answers that have come are read before any job is told that none came.
        let lost = tokio::select! {
            biased;
            () = flights.undeclared.answered() => None,
            (flight, results) = landed(&mut flights.under_way) => flights.land(flight, results, backlog),
            () = &mut closed => {
                if settled && !busy {
                    return End::Closed;
                }
                Some(connection_closed().outage())
            }
            () = &mut lasted, if !settled => {
                settled = true;
                outage.settled();
                None
            }
            turn = backlog.turn(busy) => match turn {
                Turn::Ended => return End::Finished,
                Turn::Jobs => None,
                Turn::Tick => flights.tick(backlog),
            },
        };
        if let Some(error) = lost {
            flights.fail(&error);
            return End::Lost(error);
        }
        flights.refresh();
        flights.send_waiting(backlog);
        turns = turns.wrapping_add(1);
        if turns.is_multiple_of(TURNS) {
            yield_now().await;
        }
    }
}

impl<'d, D: Dispatch> Flights<'d, D> {
    fn new(connection: Connection, connector: &'d Connector<D>) -> Flights<'d, D> {
        Flights {
            connection,
            connector,
            undeclared: Undeclared::default(),
            under_way: VecDeque::new(),
            next: 0,
            last_sent: Duration::ZERO,
            heard: Duration::ZERO,
            window: Window::new(connector.deadline),
        }
    }

    fn refresh(&mut self) {
        let Connector { dispatch, prefix, .. } = self.connector;
        self.undeclared.refresh(dispatch, &self.connection.redis, prefix);
    }

    /// Sends as many of the waiting jobs as the window allows.
    fn send_waiting(&mut self, backlog: &mut Backlog) {
        while backlog.len() > 0 {
            let now = backlog.now();
            let under_way = self.under_way.len();
            let is_full = backlog.len() >= BATCH;
            if !self.window.allows(under_way, is_full, now.saturating_sub(self.last_sent)) {
                return;
            }
            // With no call under way, only a call can tell how long an answer takes.
            let expected = (under_way > 0).then(|| self.window.expected());
            let jobs = backlog.take(BATCH, expected);
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
        let results =
            batch.commands(&self.connection.scripts, self.undeclared.is_proven()).send(self.connection.redis.clone());
        self.under_way.push_back(Flight { number, sent: now, batch, results: Box::pin(results) });
    }

    /// Answers the jobs of a flight. Returns an error if the connection cannot be used any more.
    fn land(&mut self, mut flight: Flight, results: Results, backlog: &mut Backlog) -> Option<StoreError> {
        let now = backlog.now();
        self.heard = now;
        self.window.answered(flight.number, now.saturating_sub(flight.sent), backlog.len() > 0, self.next);
        flight.batch.settle(now);
        match results {
            Ok(results) => {
                let rest = flight.batch.answer(results, &self.connector.dispatch);
                if let Some(again) = rest.again {
                    self.send(again, now);
                }
                rest.lost
            }
            Err(error) => {
                let is_lost = is_lost(&error);
                let error = failed(error);
                let error = if is_lost { error.outage() } else { error };
                flight.batch.fail(&error);
                is_lost.then_some(error)
            }
        }
    }

    /// Time has passed: fails the jobs whose time is over. Returns an error if the server has been silent for too long.
    fn tick(&mut self, backlog: &mut Backlog) -> Option<StoreError> {
        let now = backlog.now();
        for flight in &mut self.under_way {
            flight.batch.expire(now);
        }
        let oldest = self.under_way.front()?;
        let silent = now.saturating_sub(oldest.sent.max(self.heard));
        (silent >= self.connector.deadline * PATIENCE).then(|| StoreError::timed_out().outage())
    }

    fn fail(&mut self, error: &StoreError) {
        for flight in &mut self.under_way {
            flight.batch.fail(error);
        }
    }
}

/// Waits for the next results. Each turn polls all that is under way, which is nearly always one batch. (A `FuturesUnordered`
/// wakes its own task after it has polled all its futures; so every call woke another thread of the runtime, which took a
/// request on one connection 2.5 system calls.)
async fn landed(under_way: &mut VecDeque<Flight>) -> (Flight, Results) {
    poll_fn(|cx| poll_landed(under_way, cx)).await
}

fn poll_landed(under_way: &mut VecDeque<Flight>, cx: &mut Context<'_>) -> Poll<(Flight, Results)> {
    let found = under_way.iter_mut().enumerate().find_map(|(at, flight)| match flight.results.as_mut().poll(cx) {
        Poll::Ready(results) => Some((at, results)),
        Poll::Pending => None,
    });
    match found.and_then(|(at, results)| Some((under_way.remove(at)?, results))) {
        Some(landed) => Poll::Ready(landed),
        None => Poll::Pending,
    }
}

fn connection_closed() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "the server closed the connection")
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flight(number: u64, results: impl Future<Output = Results> + Send + 'static) -> Flight {
        Flight { number, sent: Duration::ZERO, batch: Batch::new(Vec::new()), results: Box::pin(results) }
    }

    #[test]
    fn a_call_under_way_does_not_wake_its_own_task() {
        let counter = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&counter));
        let mut under_way = VecDeque::from([flight(1, std::future::pending())]);
        assert!(pin!(landed(&mut under_way)).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(counter.0.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn the_call_that_was_answered_lands_and_the_others_stay_under_way() {
        let answered = std::future::ready(Ok(Vec::new()));
        let mut under_way = VecDeque::from([flight(1, std::future::pending()), flight(2, answered)]);
        let (landed, _) = landed(&mut under_way).await;
        assert_eq!((landed.number, under_way.len()), (2, 1));
    }
}
