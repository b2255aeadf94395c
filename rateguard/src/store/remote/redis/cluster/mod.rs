//! Several servers, each with a share of the slots.
//!
//! Every master is served as a single server is: a queue, a task that owns the connection, a circuit breaker. So a node
//! that is lost or hangs fails the checks of its own slots and no other's. What is new is who gets a job: the slot says,
//! by a map that any node can tell. A map may be old; then the node that was asked says that it has not done it, and who
//! would, and the job goes there. Whatever may have run is never sent again.

mod cross_slot;
mod learn;
mod node;
mod redirect;
mod slots;
mod topology;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::{Duration, Instant};

use redis::ConnectionInfo;
use tokio::sync::oneshot;

pub(crate) use node::{Address, Member};

use super::connect::Settings;
use super::{Endpoint, Group, Job, Link};
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;
use crate::store::remote::backlog::Waiting;
use crate::store::remote::queue::{Health, QUEUE, Unsent, current_runtime, overloaded};
use crate::store::remote::stopwatch::{Stopwatch, tick};
use crate::store::remote::wait::{Answer, Wait};
use node::Node;
pub(crate) use redirect::Redirect;
use slots::Slots;
use topology::Range;

/// How often a job is sent on at most. Once is what happens; a slot that is on its way may need another.
const HOPS: u8 = 5;
/// How long a node that was named, but has no slots, is kept in mind.
const NEWCOMER: Duration = Duration::from_secs(60);
/// How many of them at most. Each has a task that tries to reach it.
const NEWCOMERS: usize = 64;

/// The store, where it is a cluster.
pub(crate) struct Cluster {
    /// With the addresses that were given, and what every node is told to let us in.
    endpoint: Endpoint,
    deadline: Duration,
    prefix: String,
    state: RwLock<State>,
    /// Nodes that were named by others and have no slot as far as is known.
    newcomers: Mutex<Vec<(Instant, Arc<Node>)>>,
    /// Whether somebody is asking who has which slots.
    learning: AtomicBool,
    /// Whether to ask again, and whom first.
    wanted: AtomicBool,
    hint: Mutex<Option<Address>>,
    /// How often somebody was asked, so that it is not always the same node.
    turns: AtomicUsize,
    /// Of the tasks that serve no node.
    health: Arc<Health>,
    this: Weak<Cluster>,
}

#[derive(Debug)]
enum State {
    /// Nobody has said yet who has which slots. Jobs wait for that, within their deadline.
    Starting(Mutex<Starting>),
    Known(Arc<Slots>),
    /// Nobody that was asked has said so.
    Unreachable(StoreError),
}

/// Jobs that wait for the slots to be known.
#[derive(Debug)]
struct Starting {
    jobs: Vec<Waiting>,
    watch: Stopwatch,
}

impl Starting {
    fn new(deadline: Duration) -> Mutex<Starting> {
        Mutex::new(Starting { jobs: Vec::new(), watch: Stopwatch::new(tick(deadline)) })
    }

    /// Tells those whose time is over.
    fn expire(&mut self) {
        let now = self.watch.look(Instant::now());
        self.jobs.retain_mut(|waiting| {
            let is_expired = waiting.is_expired(now);
            if is_expired {
                waiting.fail(now, &StoreError::timed_out());
            }
            !is_expired
        });
    }

    fn into_jobs(self) -> impl Iterator<Item = Job> {
        let now = self.watch.now();
        self.jobs.into_iter().map(move |waiting| waiting.into_job(now))
    }
}

impl Cluster {
    pub(crate) fn new(endpoint: Endpoint, deadline: Duration, prefix: &str) -> Arc<Cluster> {
        let cluster = Arc::new_cyclic(|this| Cluster {
            endpoint,
            deadline,
            prefix: prefix.to_owned(),
            state: RwLock::new(State::Starting(Starting::new(deadline))),
            newcomers: Mutex::default(),
            learning: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            hint: Mutex::default(),
            turns: AtomicUsize::new(0),
            health: Arc::new(Health::new(deadline)),
            this: this.clone(),
        });
        cluster.learn(None);
        cluster
    }

    /// Asks for something to be done. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group, left: Duration) -> Result<Wait<Verdicts>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let task = if let Some(parts) = cross_slot::by_slot(&group) {
            cross_slot::start(self, group, parts, left, reply)?;
            Arc::clone(&self.health)
        } else {
            self.send(Job::group(group, left, reply)).map_err(|(_, error)| error)?
        };
        Ok(Wait::new(answer, task))
    }

    /// Asks whether every node that has slots answers.
    pub(crate) fn ping(&self, left: Duration) -> Result<Wait<()>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let task = self.send(Job::ping(left, reply)).map_err(|(_, error)| error)?;
        Ok(Wait::new(answer, task))
    }

    /// Puts a job into the queue of the node whose slot it is about.
    #[expect(clippy::result_large_err, reason = "what was handed in, so that it can be told")]
    fn send(&self, mut job: Job) -> Result<Arc<Health>, Unsent> {
        self.start_again();
        match &*self.read() {
            State::Known(slots) => {
                let Some(slot) = job.work_mut().map(Group::find_slot) else {
                    return ping_all(slots, job).map(|()| Arc::clone(&self.health));
                };
                if let Some(node) = slots.owner(slot) {
                    return node.link.send(job);
                }
                self.learn(None);
                Err((job, StoreError::new(StoreErrorKind::Busy, "no node of the cluster has the key's slot")))
            }
            State::Starting(waiting) => {
                // Without one nobody learns of the slots.
                if let Err(error) = current_runtime() {
                    return Err((job, error));
                }
                let mut starting = lock(waiting);
                if starting.jobs.len() == QUEUE {
                    return Err((job, overloaded()));
                }
                let is_first = starting.jobs.is_empty();
                let now = if is_first { starting.watch.look(Instant::now()) } else { starting.watch.now() };
                starting.jobs.push(Waiting::new(job, now));
                Ok(Arc::clone(&self.health))
            }
            State::Unreachable(error) => Err((job, error.clone())),
        }
    }

    /// The same; if nobody takes the job, it is told.
    fn hand_over(&self, job: Job) {
        if let Err((mut job, error)) = self.send(job) {
            job.fail(error);
        }
    }

    /// The same, of a group that is in one slot.
    fn submit(&self, group: Group, left: Duration) -> Answer<Verdicts> {
        let (reply, answer) = oneshot::channel();
        self.hand_over(Job::group(group, left, reply));
        answer
    }

    /// Takes a job from a node that has not done it to where it will be done.
    fn redirect(&self, mut job: Job, redirect: &Redirect) {
        // Nobody waits for it any more: the deadline has passed.
        if job.is_abandoned() {
            return;
        }
        let Some(group) = job.work_mut() else {
            return job.fail(StoreError::other("a PING was redirected"));
        };
        group.route.hops += 1;
        if group.route.hops > HOPS {
            return busy(job, "the nodes of the cluster send us from one to the other");
        }
        let limits = group.checks.len();
        group.route.asking = matches!(redirect, Redirect::Ask(_));
        match redirect {
            Redirect::Moved(address) => {
                self.learn(Some(address));
                self.send_to(address, job);
            }
            Redirect::Ask(address) => self.send_to(address, job),
            Redirect::TryAgain if limits > 1 => {
                let left = job.left;
                if let Some((group, reply)) = job.into_group() {
                    let parts = cross_slot::one_by_one(&group);
                    // Without a runtime there would be no task of ours to call this.
                    let _ = cross_slot::start(self, group, parts, left, reply);
                }
            }
            Redirect::TryAgain => {
                // It was in one call with others of its slot. Alone, it is here or it is not.
                group.route.alone = true;
                self.hand_over(job);
            }
            Redirect::Down => {
                self.learn(None);
                busy(job, "CLUSTERDOWN: the node's cluster is not whole, or nobody has the slot");
            }
        }
    }

    fn send_to(&self, address: &Address, job: Job) {
        if let Err((mut job, error)) = self.at(address).link.send(job) {
            job.fail(error);
        }
    }

    /// The node at an address, which may be new to us.
    fn at(&self, address: &Address) -> Arc<Node> {
        let known = self.slots().and_then(|slots| find(slots.nodes().iter(), address));
        if let Some(node) = known {
            return node;
        }
        let mut newcomers = lock(&self.newcomers);
        if let Some((seen, node)) = newcomers.iter_mut().find(|(_, node)| node.address == *address) {
            *seen = Instant::now();
            return Arc::clone(node);
        }
        if newcomers.len() >= NEWCOMERS {
            let named_longest_ago = newcomers.iter().enumerate().min_by_key(|(_, (seen, _))| *seen);
            if let Some((at, _)) = named_longest_ago {
                newcomers.swap_remove(at);
            }
        }
        let node = self.node(address.clone());
        newcomers.push((Instant::now(), Arc::clone(&node)));
        node
    }

    fn node(&self, address: Address) -> Arc<Node> {
        let settings = Settings {
            endpoint: self.endpoint.node(&address),
            deadline: self.deadline,
            prefix: self.prefix.clone(),
            member: Some(Member { cluster: self.this.clone(), address: address.clone() }),
        };
        Arc::new(Node { address, link: Link::new(settings) })
    }

    fn slots(&self) -> Option<Arc<Slots>> {
        match &*self.read() {
            State::Known(slots) => Some(Arc::clone(slots)),
            State::Starting(_) | State::Unreachable(_) => None,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the cluster asked who has which slots; first the node at this address, if there is one. There is a bound on
    /// how often that is done, and one at a time does it.
    fn learn(&self, hint: Option<&Address>) {
        if let Some(hint) = hint {
            *lock(&self.hint) = Some(hint.clone());
        }
        self.wanted.store(true, Ordering::SeqCst);
        let Ok(runtime) = current_runtime() else { return };
        if let Some(turn) = learn::Turn::take(self) {
            runtime.spawn(learn::run(turn));
        }
    }

    /// Before anything is known, asking goes on until it is; unless it ended with its runtime.
    fn start_again(&self) {
        if matches!(&*self.read(), State::Known(_)) || self.learning.load(Ordering::SeqCst) {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*state, State::Unreachable(_)) {
            *state = State::Starting(Starting::new(self.deadline));
        }
        drop(state);
        self.learn(None);
    }

    /// Whom to ask who has which slots, in order: who was named, who is known to be well, who was given, who is not well.
    fn whom_to_ask(&self) -> Vec<(Address, ConnectionInfo)> {
        let (mut well, mut unwell) = (Vec::new(), Vec::new());
        for node in self.slots().iter().flat_map(|slots| slots.nodes()) {
            let of_its_kind = if node.link.is_down() { &mut unwell } else { &mut well };
            of_its_kind.push(node.address.clone());
        }
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let count = well.len().max(1);
        well.rotate_left(turn % count);
        let mut order: Vec<Address> = lock(&self.hint).take().into_iter().collect();
        for address in well.into_iter().chain(self.endpoint.seeds().iter().cloned()).chain(unwell) {
            if !order.contains(&address) {
                order.push(address);
            }
        }
        let reached = |address: Address| {
            let info = self.endpoint.node(&address).info().clone();
            (address, info)
        };
        order.into_iter().map(reached).collect()
    }

    /// What the cluster has said of itself is so from now on.
    fn adopt(&self, ranges: Vec<Range>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = match &*state {
            State::Known(slots) => Some(Arc::clone(slots)),
            State::Starting(_) | State::Unreachable(_) => None,
        };
        let before = before.as_ref().map_or(&[][..], |slots| slots.nodes());
        let mut newcomers = lock(&self.newcomers);
        let slots = Slots::new(ranges, |address| {
            let known = before.iter().chain(newcomers.iter().map(|(_, node)| node));
            find(known, &address).unwrap_or_else(|| self.node(address))
        });
        newcomers
            .retain(|(seen, node)| seen.elapsed() < NEWCOMER && find(slots.nodes().iter(), &node.address).is_none());
        drop(newcomers);
        for node in before.iter().filter(|node| find(slots.nodes().iter(), &node.address).is_none()) {
            if node.link.is_down() {
                tracing::info!(store = %node.address, "rateguard: the cluster has given the node's slots to others");
            }
        }
        let was = std::mem::replace(&mut *state, State::Known(Arc::new(slots)));
        drop(state);
        match was {
            State::Starting(waiting) => {
                for job in waiting.into_inner().unwrap_or_else(PoisonError::into_inner).into_jobs() {
                    self.hand_over(job);
                }
            }
            State::Unreachable(_) => {
                tracing::info!(store = %self.endpoint, "rateguard: the store answers, limits are enforced");
            }
            State::Known(_) => {}
        }
    }

    /// Nobody has said who has which slots. What is known stays so; if nothing is, there is nobody to send anything to.
    fn in_vain(&self, error: &StoreError) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*state, State::Known(_)) {
            return;
        }
        let was = std::mem::replace(&mut *state, State::Unreachable(error.clone()));
        drop(state);
        if let State::Starting(waiting) = was {
            tracing::warn!(
                store = %self.endpoint,
                reason = error.kind().name(),
                error = %error,
                "rateguard: the store does not answer; the failure policy does until it is back"
            );
            for mut job in waiting.into_inner().unwrap_or_else(PoisonError::into_inner).into_jobs() {
                job.fail(error.clone());
            }
        }
    }

    /// While nobody has said who has which slots, those who wait for it are told when their time is over.
    fn expire_waiting(&self) {
        if let State::Starting(waiting) = &*self.read() {
            lock(waiting).expire();
        }
    }

    /// Whether there is a reason to ask once more who has which slots: a node that is away, whose slots may be others'
    /// soon, is one.
    fn wants_to_know(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
            || self.slots().is_none_or(|slots| slots.nodes().iter().any(|node| node.link.is_down()))
    }
}

impl Group {
    fn find_slot(&mut self) -> u16 {
        // No group is empty.
        self.route.slot = self.checks.first().map_or(0, |check| slots::slot(&check.key));
        self.route.slot
    }
}

/// Asks every node that has slots whether it answers.
#[expect(clippy::result_large_err, reason = "what was handed in, so that it can be told")]
fn ping_all(slots: &Slots, job: Job) -> Result<(), Unsent> {
    let runtime = match current_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Err((job, error)),
    };
    let pings: Vec<_> = slots.nodes().iter().map(|node| node.link.ping(job.left).map(Wait::into_answer)).collect();
    if let Some(reply) = job.into_ping() {
        runtime.spawn(cross_slot::all_answer(pings, reply));
    }
    Ok(())
}

fn find<'n>(mut nodes: impl Iterator<Item = &'n Arc<Node>>, address: &Address) -> Option<Arc<Node>> {
    nodes.find(|node| node.address == *address).map(Arc::clone)
}

fn busy(mut job: Job, why: &'static str) {
    job.fail(StoreError::new(StoreErrorKind::Busy, why));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows the addresses, and the state.
impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, ", self.endpoint)?;
        match &*self.read() {
            State::Starting(_) => f.write_str("connecting"),
            State::Unreachable(reason) => write!(f, "down: {}", reason.kind().name()),
            State::Known(slots) => {
                let down = slots.nodes().iter().filter(|node| node.link.is_down()).count();
                write!(f, "{} nodes, {down} of them down", slots.nodes().len())
            }
        }
    }
}
