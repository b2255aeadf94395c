//! One of the processes: asks all sorts of things of a few keys, and writes down what and when.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rateguard::{Check, Decision, Key, RateGuard, StoreError};
use tokio::task::JoinSet;

use crate::plan::{Planned, Random, USERS, policies};
use rateguard_tests::history::record::{Answer, Asked, Line, Log, now};

pub(crate) const TASKS: u64 = 12;
/// A call is answered late only if something is wrong.
const DEADLINE: Duration = Duration::from_secs(2);
/// Receipts that a task keeps, to give some of the charges back.
const RECEIPTS: usize = 40;

#[derive(Debug)]
struct Process {
    limiter: RateGuard,
    policies: Vec<Planned>,
    log: Log,
    ids: AtomicU64,
    until: u64,
}

/// A charge that may be given back.
struct Charge {
    call: u64,
    place: Place,
    cost: u32,
    decision: Decision,
}

/// What is counted: a policy and a user.
#[derive(Clone, Copy)]
struct Place {
    policy: usize,
    user: u64,
}

impl Place {
    fn key(self) -> Key {
        Key::user(self.user)
    }
}

/// Goes on until that time, if it is not killed before. Processes of different numbers have different settings.
pub(crate) async fn run(url: &str, log: &Path, seed: u64, number: u64, until: u64) {
    let builder = RateGuard::builder().redis(url).deadline(DEADLINE).compact_log(!number.is_multiple_of(2));
    let builder = if number.is_multiple_of(3) { builder.deny_cache(Duration::ZERO) } else { builder };
    let process = Arc::new(Process {
        limiter: builder.build().expect("a limiter"),
        policies: policies(),
        log: Log::open(log).expect("a log"),
        ids: AtomicU64::new(0),
        until,
    });
    for (policy, planned) in process.policies.iter().enumerate() {
        process.log.write(&Line::Set { policy, before: 0, after: 0, rule: planned.policy.quota().into() });
    }
    // While slots move, a node may not be ready at once. Checks that are not counted then are recorded as such.
    let _ = process.limiter.ready().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&process).change(Random::new(seed)));
    for task in 1..=TASKS {
        tasks.spawn(Arc::clone(&process).ask(Random::new(seed + task)));
    }
    tasks.join_all().await;
}

impl Process {
    /// Sets a quota now and then, in this process alone: the others go on with theirs.
    async fn change(self: Arc<Process>, mut random: Random) {
        let changing: Vec<usize> = (0..self.policies.len()).filter(|at| self.policies[*at].quotas.len() > 1).collect();
        while now() < self.until {
            tokio::time::sleep(Duration::from_millis(20 + random.draw(200))).await;
            let policy = *random.pick(&changing);
            let planned = &self.policies[policy];
            let quota = *random.pick(&planned.quotas);
            let before = now();
            self.limiter.set_quota(planned.policy.name(), quota);
            self.log.write(&Line::Set { policy, before, after: now(), rule: quota.into() });
        }
    }

    async fn ask(self: Arc<Process>, mut random: Random) {
        let mut charges: Vec<Charge> = Vec::new();
        while now() < self.until {
            let place = self.place(&mut random);
            let is_plain = self.policies[place.policy].is_plain;
            match random.draw(1000) {
                0..700 => self.check(place, &mut random, &mut charges).await,
                _ if is_plain => self.peek(place).await,
                700..780 => self.check_two(place, &mut random, &mut charges).await,
                780..900 if !charges.is_empty() => {
                    let at = usize::try_from(random.draw(u64::try_from(charges.len()).unwrap_or(1))).unwrap_or(0);
                    self.refund(charges.swap_remove(at), &mut random).await;
                }
                900..904 => {
                    let cost = self.policies[place.policy].usual_cost();
                    let call = self.begin(place, Asked::GiveBack { cost: cost.into() });
                    let policy = &self.policies[place.policy].policy;
                    self.end(call, done(&self.limiter.refund(policy, &place.key(), cost).await));
                }
                904..905 => {
                    let call = self.begin(place, Asked::Reset);
                    let policy = &self.policies[place.policy].policy;
                    self.end(call, done(&self.limiter.reset(policy, &place.key()).await));
                }
                _ => self.peek(place).await,
            }
            let excess = charges.len().saturating_sub(RECEIPTS);
            charges.drain(..excess);
            match random.draw(100) {
                0..40 => tokio::task::yield_now().await,
                40..98 => tokio::time::sleep(Duration::from_millis(1 + random.draw(12))).await,
                _ => tokio::time::sleep(Duration::from_millis(random.draw(400))).await,
            }
        }
    }

    /// Half of the time one that all processes ask at the moment.
    fn place(&self, random: &mut Random) -> Place {
        let count = u64::try_from(self.policies.len()).expect("a length");
        let mut hot = Random::new(now() / 500_000);
        let random = if random.draw(2) == 0 { &mut hot } else { random };
        let policy = usize::try_from(random.draw(count)).expect("a place");
        Place { policy, user: random.draw(USERS) }
    }

    fn cost(&self, place: Place, random: &mut Random) -> u32 {
        let planned = &self.policies[place.policy];
        let limit = planned.policy.quota().limit();
        match random.draw(100) {
            0 => 0,
            // More than a quota that is not raised ever allows.
            1 => limit + 1,
            2 => limit,
            3..30 => 1,
            _ => 1 + u32::try_from(random.draw(planned.usual_cost().into())).unwrap_or(0),
        }
    }

    async fn check(&self, place: Place, random: &mut Random, charges: &mut Vec<Charge>) {
        let cost = self.cost(place, random);
        let call = self.begin(place, Asked::Check { cost: cost.into() });
        let decision = self.limiter.check_cost(&self.policies[place.policy].policy, &place.key(), cost).await;
        let answer = if decision.degraded() {
            Answer::Degraded
        } else if decision.allowed() {
            Answer::Allowed(decision.quota().into())
        } else {
            Answer::Denied(decision.quota().into())
        };
        self.end(call, answer);
        if matches!(answer, Answer::Allowed(_)) && !self.policies[place.policy].is_plain {
            charges.push(Charge { call, place, cost, decision });
        }
    }

    async fn peek(&self, place: Place) {
        let call = self.begin(place, Asked::Peek);
        let policy = &self.policies[place.policy].policy;
        self.end(call, done(&self.limiter.peek(policy, &place.key()).await));
    }

    /// Two limits together, of one user or of two, who may be counted in different slots.
    async fn check_two(&self, one: Place, random: &mut Random, charges: &mut Vec<Charge>) {
        let mut other = self.place(random);
        if random.draw(2) == 0 {
            other.user = one.user;
        }
        if (one.policy, one.user) == (other.policy, other.user) || self.policies[other.policy].is_plain {
            return;
        }
        let places = [one, other];
        let costs = places.map(|place| self.cost(place, random));
        let keys = places.map(Place::key);
        let checks = [0, 1].map(|at| Check::new(&self.policies[places[at].policy].policy, &keys[at]).cost(costs[at]));
        let calls = [0, 1].map(|at| self.begin(places[at], Asked::Check { cost: costs[at].into() }));
        let decisions = self.limiter.check_all(&checks).await;
        let degraded = decisions.iter().any(Decision::degraded);
        let allowed = decisions.iter().all(Decision::allowed);
        for (at, decision) in decisions.into_iter().enumerate() {
            let answer = match (degraded, allowed) {
                (true, _) => Answer::Degraded,
                (false, true) => Answer::Allowed(decision.quota().into()),
                (false, false) => Answer::Denied(decision.quota().into()),
            };
            self.end(calls[at], answer);
            if matches!(answer, Answer::Allowed(_)) {
                charges.push(Charge { call: calls[at], place: places[at], cost: costs[at], decision });
            }
        }
    }

    /// All of a charge or a part of it.
    async fn refund(&self, charge: Charge, random: &mut Random) {
        let Charge { call, place, cost, decision } = charge;
        let cost = if random.draw(2) == 0 { cost } else { cost.div_ceil(2) };
        let refund = self.begin(place, Asked::Refund { call, cost: cost.into() });
        let given = self.limiter.refund_part(&decision, cost).await;
        self.end(refund, done(&given));
    }

    fn begin(&self, place: Place, asked: Asked) -> u64 {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        self.log.write(&Line::Begin { id, at: now(), policy: place.policy, user: place.user, asked });
        id
    }

    fn end(&self, id: u64, answer: Answer) {
        self.log.write(&Line::End { id, at: now(), answer });
    }
}

fn done<T>(result: &Result<T, StoreError>) -> Answer {
    if result.is_ok() { Answer::Done } else { Answer::Failed }
}
