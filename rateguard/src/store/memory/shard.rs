//! A part of the keys: where each is, and which of them go.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::MemoryCheck;
use crate::algorithm::{Assessment, State, Verdict};

/// Slots that a check sweeps at most, and how often it does, in microseconds.
const SWEEP_SLOTS: usize = 128;
pub(super) const SWEEP_EVERY: u64 = 10_000;
/// Slots that a newcomer looks at for one to take over when all are taken.
const CANDIDATES: usize = 16;

/// A part of the keys, under one lock.
#[derive(Debug)]
pub(super) struct Shard {
    places: HashMap<u128, usize, BuildHasherDefault<Already>>,
    slots: Vec<Slot>,
    cap: usize,
    hand: usize,
    next_sweep: u64,
    latest: u64,
}

/// What is counted for one key.
#[derive(Debug)]
pub(super) struct Slot {
    fingerprint: u128,
    pub(super) state: State,
    /// From then on nothing counts any more.
    idle_from: u64,
    /// Until then the client is being refused.
    blocked_until: u64,
}

impl Slot {
    /// The client is being refused, for so long.
    pub(super) fn block(&mut self, now: u64, retry: u64) {
        self.blocked_until = now.saturating_add(retry);
    }

    pub(super) fn refund(&mut self, now: u64, check: &MemoryCheck, receipt: Option<u64>) {
        self.state.refund(now, &check.quota, check.cost, receipt);
        self.idle_from = self.state.idle_from(&check.quota);
        self.blocked_until = 0;
    }

    fn charge(&mut self, now: u64, check: &MemoryCheck, assessment: &Assessment) {
        if check.cost == 0 {
            return;
        }
        self.state.charge(now, &check.quota, check.cost);
        self.idle_from = self.state.idle_from(&check.quota);
        if assessment.available == check.cost {
            self.blocked_until = now.saturating_add(assessment.reset_charged);
        }
    }
}

impl Shard {
    pub(super) fn new(cap: usize) -> Shard {
        Shard { places: HashMap::default(), slots: Vec::new(), cap, hand: 0, next_sweep: 0, latest: 0 }
    }

    /// A time that was read before the lock was taken, or a later one that another thread brought meanwhile. Reading it
    /// under the lock would say the same, but keep the lock for twice as long.
    pub(super) fn not_before(&mut self, now: u64) -> u64 {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn forget(&mut self, check: &MemoryCheck) {
        if let Some(&at) = self.places.get(&check.fingerprint) {
            self.remove(at);
        }
    }

    pub(super) fn existing(&mut self, check: &MemoryCheck) -> Option<&mut Slot> {
        self.slots.get_mut(*self.places.get(&check.fingerprint)?)
    }

    /// Decides a check that is decided alone.
    pub(super) fn check(&mut self, now: u64, check: &MemoryCheck) -> Verdict {
        let (quota, cost) = (&check.quota, check.cost);
        let Some(slot) = self.existing(check) else {
            let assessment = State::new(quota.algorithm()).assess(now, quota, cost);
            if assessment.admitted {
                self.charge_newcomer(now, check, &assessment);
            }
            return assessment.verdict(now, quota, assessment.admitted.then_some(cost));
        };
        let assessment = slot.state.assess(now, quota, cost);
        if assessment.admitted {
            slot.charge(now, check, &assessment);
            self.sweep(now);
        } else if let Some(retry) = assessment.retry_after {
            slot.block(now, retry);
        }
        assessment.verdict(now, quota, assessment.admitted.then_some(cost))
    }

    pub(super) fn charge(&mut self, now: u64, check: &MemoryCheck, assessment: &Assessment) {
        match self.existing(check) {
            Some(slot) => {
                slot.charge(now, check, assessment);
                self.sweep(now);
            }
            None => self.charge_newcomer(now, check, assessment),
        }
    }

    fn charge_newcomer(&mut self, now: u64, check: &MemoryCheck, assessment: &Assessment) {
        self.sweep(now);
        if check.cost == 0 || !self.make_room(now) {
            return;
        }
        let mut slot = Slot {
            fingerprint: check.fingerprint,
            state: State::new(check.quota.algorithm()),
            idle_from: 0,
            blocked_until: 0,
        };
        slot.charge(now, check, assessment);
        self.places.insert(check.fingerprint, self.slots.len());
        self.slots.push(slot);
    }

    /// Whether there is a slot for a newcomer, once a client that still has quota left gave way.
    fn make_room(&mut self, now: u64) -> bool {
        if self.slots.len() < self.cap {
            return true;
        }
        let victim = self.victim(now);
        victim.map(|at| self.remove(at)).is_some()
    }

    /// Of the next slots, one that is idle, or else the one that will be soonest; never one being refused.
    fn victim(&mut self, now: u64) -> Option<usize> {
        let len = self.slots.len().max(1);
        let start = self.hand;
        self.hand = (start + CANDIDATES) % len;
        (start..start + CANDIDATES.min(len))
            .map(|at| at % len)
            .filter_map(|at| Some((at, self.slots.get(at)?)))
            .filter(|(_, slot)| slot.blocked_until <= now)
            .min_by_key(|(_, slot)| slot.idle_from)
            .map(|(at, _)| at)
    }

    fn remove(&mut self, at: usize) {
        if at >= self.slots.len() {
            return;
        }
        let gone = self.slots.swap_remove(at);
        self.places.remove(&gone.fingerprint);
        if let Some(moved) = self.slots.get(at) {
            self.places.insert(moved.fingerprint, at);
        }
    }

    /// Gives up a few slots whose count has run out.
    fn sweep(&mut self, now: u64) {
        // A clock that stepped back does not stop the sweeping.
        if now < self.next_sweep && self.next_sweep - now <= SWEEP_EVERY {
            return;
        }
        self.next_sweep = now + SWEEP_EVERY;
        for _ in 0..SWEEP_SLOTS.min(self.slots.len()) {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            match self.slots.get(self.hand) {
                Some(slot) if slot.idle_from <= now => self.remove(self.hand),
                Some(_) => self.hand += 1,
                None => break,
            }
        }
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(self.slots.len() * 2);
            self.places.shrink_to(self.slots.len() * 2);
        }
    }
}

/// The table's keys are hashes already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }
}
