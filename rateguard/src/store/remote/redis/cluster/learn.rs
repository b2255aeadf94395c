//! The task that asks the nodes for the slot map, for as long as there is a reason to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_timer::Delay;
use redis::ConnectionInfo;

use super::address::Address;
use super::topology::{self, Range};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::backoff::Backoff;
use crate::store::remote::stopwatch::{each_tick, tick};

/// The shortest pause between two questions: at most ten in a second, and two once it lasts.
const SHORTEST: Duration = Duration::from_millis(100);

/// Whether the slot map is being asked for.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// Whether a task is asking. There is one at a time.
    is_running: AtomicBool,
    /// Whether to ask again.
    wanted: AtomicBool,
}

/// Has a slot map to learn.
pub(super) trait Learner: Send + Sync + 'static {
    fn learning(&self) -> &Learning;

    fn deadline(&self) -> Duration;

    /// The nodes to ask, in order.
    fn nodes_to_ask(&self) -> Vec<(Address, ConnectionInfo)>;

    /// Called once a tick while nodes are asked.
    fn tick(&self);

    /// A node has answered with the slot map.
    fn install(&self, ranges: Vec<Range>);

    /// No node has answered with it.
    fn unknown(&self, error: &StoreError);

    /// Whether there is a reason to ask again although the map is known.
    fn has_doubts(&self) -> bool;
}

impl Learning {
    pub(super) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::SeqCst)
    }

    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::SeqCst);
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }
}

/// The right to ask. One task has it at a time, until the task ends, also if it ends with its runtime.
pub(super) struct Turn<L: Learner> {
    learner: Weak<L>,
}

impl<L: Learner> Turn<L> {
    pub(super) fn take(learner: &Arc<L>) -> Option<Turn<L>> {
        let is_free = !learner.learning().is_running.swap(true, Ordering::SeqCst);
        is_free.then(|| Turn { learner: Arc::downgrade(learner) })
    }
}

impl<L: Learner> Drop for Turn<L> {
    fn drop(&mut self) {
        if let Some(learner) = self.learner.upgrade() {
            learner.learning().is_running.store(false, Ordering::SeqCst);
        }
    }
}

pub(super) async fn run<L: Learner>(mut turn: Turn<L>) {
    let mut backoff = Backoff::default();
    loop {
        // The cluster is not kept alive across an await, so that it ends with its last handle.
        let Some(learner) = turn.learner.upgrade() else { return };
        learner.learning().wanted.store(false, Ordering::SeqCst);
        let nodes = learner.nodes_to_ask();
        let tick = tick(learner.deadline());
        drop(learner);
        let mut answer = Err(StoreError::new(StoreErrorKind::Unreachable, "there is no node to ask"));
        let asking = async {
            for (address, node) in nodes {
                answer = topology::ask(node, &address).await;
                if answer.is_ok() {
                    break;
                }
            }
        };
        let ticking = turn.learner.clone();
        let go_on = || ticking.upgrade().inspect(|learner| learner.tick()).is_some();
        // The future is large, and rare.
        Box::pin(each_tick(tick, asking, go_on)).await;
        let Some(learner) = turn.learner.upgrade() else { return };
        match answer {
            Ok(ranges) => learner.install(ranges),
            Err(error) => learner.unknown(&error.outage()),
        }
        drop(learner);
        Delay::new(backoff.next().max(SHORTEST)).await;
        let Some(learner) = turn.learner.upgrade() else { return };
        if learner.learning().is_wanted() || learner.has_doubts() {
            continue;
        }
        drop(turn);
        // A request that wanted the map since that check found the turn taken, and did not start a task.
        if !learner.learning().is_wanted() {
            return;
        }
        let Some(again) = Turn::take(&learner) else { return };
        turn = again;
    }
}
