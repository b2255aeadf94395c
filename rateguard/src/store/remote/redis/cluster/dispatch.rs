//! Which node gets a job.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};

use super::address::Address;
use super::cross_slot::{self, CrossSlot, Part};
use super::hash_slot::slot;
use super::learn::{self, Learning};
use super::node::{Member, Node};
use super::slots::Slots;
use super::state::{Newcomers, State};
use super::work::Work;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;
use crate::store::remote::breaker::Health;
use crate::store::remote::closing::{Unfinished, closed};
use crate::store::remote::job::{Job, Receiver, Reply, Wait};
use crate::store::remote::queue::{Queue, Unsent, current_runtime};
use crate::store::remote::redis::endpoint::Endpoint;
use crate::store::remote::redis::server::Server;
use crate::store::remote::script::Group;

/// A cluster as a store.
pub(crate) struct Cluster {
    /// The addresses from the URL, and the credentials for every node.
    pub(super) endpoint: Endpoint,
    pub(super) deadline: Duration,
    prefix: String,
    pub(super) state: RwLock<State>,
    pub(super) newcomers: Mutex<Newcomers>,
    pub(super) learning: Learning,
    /// Counts the slot maps.
    pub(super) topology: AtomicU64,
    /// The node to ask first for the slot map.
    pub(super) hint: Mutex<Option<Address>>,
    /// How often the nodes were asked for the slot map, so that each time begins with another.
    pub(super) turns: AtomicUsize,
    /// Of the tasks that do not belong to a node.
    health: Arc<Health>,
    /// What was asked and is not answered yet.
    work: Work,
    /// Ends the task that asks for the slot map.
    stop: watch::Sender<bool>,
    this: Weak<Cluster>,
}

impl Cluster {
    pub(crate) fn new(endpoint: Endpoint, deadline: Duration, prefix: &str) -> Arc<Cluster> {
        let cluster = Arc::new_cyclic(|this| Cluster {
            endpoint,
            deadline,
            prefix: prefix.to_owned(),
            state: RwLock::new(State::starting(deadline)),
            newcomers: Mutex::default(),
            learning: Learning::default(),
            topology: AtomicU64::new(0),
            hint: Mutex::default(),
            turns: AtomicUsize::new(0),
            health: Arc::new(Health::new(deadline)),
            work: Work::new(),
            stop: watch::Sender::new(false),
            this: this.clone(),
        });
        cluster.learn(None);
        cluster
    }

    /// Sends a group, whose answer may take `left`. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group, left: Duration) -> Result<Wait<Verdicts>, StoreError> {
        let unfinished = self.work.begin()?;
        let (reply, answer) = oneshot::channel();
        let task = if let Some(parts) = cross_slot::by_slot(&group) {
            self.start_cross_slot(group, parts, left, reply, Some(unfinished))?;
            Arc::clone(&self.health)
        } else {
            self.send(Job::group(group, left, reply).holding(unfinished)).map_err(|(_, error)| error)?
        };
        Ok(Wait::new(answer, task))
    }

    /// Asks whether every node that has slots answers.
    pub(crate) fn ping(&self, left: Duration) -> Result<Wait<()>, StoreError> {
        let unfinished = self.work.begin()?;
        let (reply, answer) = oneshot::channel();
        let task = self.send(Job::ping(left, reply).holding(unfinished)).map_err(|(_, error)| error)?;
        Ok(Wait::new(answer, task))
    }

    /// Answers what was asked so far, for at most the deadline, and then ends the tasks. Until then jobs still go from one
    /// node to another, and a group in several slots still takes all its steps.
    pub(crate) async fn close(&self) {
        let finished = self.work.close();
        self.health.close();
        finished.within(self.deadline).await;
        self.stop.send_replace(true);
        let state = mem::replace(&mut *self.state.write().unwrap_or_else(PoisonError::into_inner), State::Closed);
        let mut nodes = lock(&self.newcomers).close();
        nodes.extend(state.slots().iter().flat_map(|slots| slots.nodes()).cloned());
        for mut job in state.into_jobs() {
            job.fail(closed());
        }
        // Either nothing is under way, or the deadline has passed.
        join_all(nodes.iter().map(|node| node.queue.close_within(Duration::ZERO))).await;
    }

    /// Sends a job to the node that has its slot.
    #[expect(clippy::result_large_err, reason = "the job comes back, so that it can be answered")]
    fn send(&self, mut job: Job) -> Result<Arc<Health>, Unsent> {
        self.start_again();
        match &*self.read() {
            State::Known(slots) => {
                let Some(group) = job.as_group_mut() else {
                    return ping_all(slots, job).map(|()| Arc::clone(&self.health));
                };
                // No group is empty.
                group.route.slot = group.checks.first().map_or(0, |check| slot(&check.key));
                if let Some(node) = slots.owner(group.route.slot) {
                    return node.queue.send(job);
                }
                self.learn(None);
                Err((job, StoreError::new(StoreErrorKind::Busy, "no node of the cluster has the key's slot")))
            }
            State::Starting(starting) => {
                // Without a runtime, nothing asks for the slot map.
                if let Err(error) = current_runtime() {
                    return Err((job, error));
                }
                lock(starting).push(job).map(|()| Arc::clone(&self.health))
            }
            State::Unreachable(error) => Err((job, error.clone())),
            State::Closed => Err((job, closed())),
        }
    }

    pub(super) fn send_or_fail(&self, job: Job) {
        if let Err((mut job, error)) = self.send(job) {
            job.fail(error);
        }
    }

    pub(super) fn send_to(&self, address: &Address, job: Job) {
        let sent = match self.at(address) {
            Some(node) => node.queue.send(job).map(drop),
            None => Err((job, closed())),
        };
        if let Err((mut job, error)) = sent {
            job.fail(error);
        }
    }

    /// Decides a group whose parts are decided by different calls.
    pub(super) fn start_cross_slot(
        &self,
        group: Group,
        parts: Vec<Part>,
        left: Duration,
        reply: Reply<Verdicts>,
        unfinished: Option<Unfinished>,
    ) -> Result<(), StoreError> {
        let runtime = current_runtime()?;
        let Some(cluster) = self.this.upgrade() else {
            return Err(StoreError::other("the last handle to the store is gone"));
        };
        let submit = move |group, left| -> Receiver<Verdicts> {
            let (reply, answer) = oneshot::channel();
            cluster.send_or_fail(Job::group(group, left, reply));
            answer
        };
        let deadline = self.deadline;
        runtime.spawn(async move {
            CrossSlot { submit, deadline, group: &group, parts: &parts }.decide(left, reply).await;
            drop(unfinished);
        });
        Ok(())
    }

    /// The node at an address, which may be new; `None` once the cluster is closed.
    fn at(&self, address: &Address) -> Option<Arc<Node>> {
        if let Some(node) = self.slots().as_ref().and_then(|slots| slots.node(address)) {
            return Some(Arc::clone(node));
        }
        lock(&self.newcomers).get(address, || self.node(address.clone()))
    }

    pub(super) fn node(&self, address: Address) -> Arc<Node> {
        let server = Server {
            endpoint: self.endpoint.node(&address),
            deadline: self.deadline,
            prefix: self.prefix.clone(),
            dispatch: Member { peers: self.this.clone(), address: address.clone() },
        };
        Arc::new(Node { address, queue: Queue::new(server) })
    }

    pub(super) fn slots(&self) -> Option<Arc<Slots>> {
        self.read().slots().map(Arc::clone)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the nodes asked for the slot map, the node at `hint` first. One task asks at a time, and not too often.
    pub(super) fn learn(&self, hint: Option<&Address>) {
        if let Some(hint) = hint {
            *lock(&self.hint) = Some(hint.clone());
        }
        self.learning.want();
        let Ok(runtime) = current_runtime() else { return };
        let mut stopped = self.stop.subscribe();
        if *stopped.borrow_and_update() {
            return;
        }
        if let Some(turn) = self.this.upgrade().as_ref().and_then(learn::Turn::take) {
            runtime.spawn(async move {
                tokio::select! {
                    () = learn::run(turn) => {}
                    // Also when the last handle to the store is gone.
                    _ = stopped.changed() => {}
                }
            });
        }
    }

    /// Before the slot map is known, the task that asks for it runs until it is; unless the task ended with its runtime.
    fn start_again(&self) {
        if matches!(&*self.read(), State::Known(_) | State::Closed) || self.learning.is_running() {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*state, State::Unreachable(_)) {
            *state = State::starting(self.deadline);
        }
        drop(state);
        self.learn(None);
    }
}

/// Asks every node that has slots whether it answers.
#[expect(clippy::result_large_err, reason = "the job comes back, so that it can be answered")]
fn ping_all(slots: &Slots, job: Job) -> Result<(), Unsent> {
    let runtime = match current_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Err((job, error)),
    };
    let pings: Vec<_> = slots.nodes().iter().map(|node| node.queue.ping(job.left).map(Wait::into_receiver)).collect();
    let unfinished = job.unfinished();
    if let Some(reply) = job.into_ping() {
        runtime.spawn(async move {
            cross_slot::all_answer(pings, reply).await;
            drop(unfinished);
        });
    }
    Ok(())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows the addresses and the state.
impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, ", self.endpoint)?;
        match &*self.read() {
            State::Starting(_) => f.write_str("connecting"),
            State::Closed => f.write_str("closed"),
            State::Unreachable(reason) => write!(f, "down: {}", reason.kind().as_str()),
            State::Known(slots) => {
                let down = slots.nodes().iter().filter(|node| node.queue.is_down()).count();
                write!(f, "{} nodes, {down} of them down", slots.nodes().len())
            }
        }
    }
}
