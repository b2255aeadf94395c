//! A part of the keys: where each is, and which of them go.

use hashbrown::HashTable;

use super::MemoryCheck;
use crate::algorithm::{Assessment, Receipt, State, Verdict};

/// Slots that a check sweeps at most, and how often it does, in microseconds.
const SWEEP_SLOTS: usize = 128;
pub(super) const SWEEP_EVERY: u64 = 10_000;
/// Slots that a newcomer looks at for one to take over when all are taken.
const CANDIDATES: usize = 16;

/// A part of the keys, under one lock.
#[derive(Debug)]
pub(super) struct Shard {
    /// Where in `slots` each key is. Some five bytes a key, so that the places of many stay close to the processor.
    places: HashTable<u32>,
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
        // A quota that is new to the key keeps what it has denied.
        self.idle_from = self.state.idle_from();
        self.blocked_until = now.saturating_add(retry);
    }

    pub(super) fn refund(&mut self, now: u64, check: &MemoryCheck, receipt: Option<Receipt>) {
        self.state.refund(now, &check.quota, check.cost, receipt);
        self.idle_from = self.state.idle_from();
        self.blocked_until = 0;
    }

    fn charge(&mut self, now: u64, check: &MemoryCheck, assessment: &Assessment) -> Option<Receipt> {
        let receipt = self.state.charge(now, &check.quota, check.cost)?;
        self.idle_from = self.state.idle_from();
        if assessment.available == check.cost {
            self.blocked_until = now.saturating_add(assessment.reset_charged);
        }
        Some(receipt)
    }
}

impl Shard {
    pub(super) fn new(cap: usize) -> Shard {
        let cap = cap.min(u32::MAX as usize);
        Shard { places: HashTable::new(), slots: Vec::new(), cap, hand: 0, next_sweep: 0, latest: 0 }
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
        if let Some(at) = self.find(check.fingerprint) {
            self.remove(at);
        }
    }

    pub(super) fn existing(&mut self, check: &MemoryCheck) -> Option<&mut Slot> {
        let at = self.find(check.fingerprint)?;
        self.slots.get_mut(at)
    }

    #[inline]
    fn find(&self, fingerprint: u128) -> Option<usize> {
        let is_there = |&at: &u32| self.slots.get(at as usize).is_some_and(|slot| slot.fingerprint == fingerprint);
        self.places.find(hash(fingerprint), is_there).map(|&at| at as usize)
    }

    /// Decides a check that is decided alone.
    pub(super) fn check(&mut self, now: u64, check: &MemoryCheck) -> Verdict {
        let (quota, cost) = (&check.quota, check.cost);
        let Some(slot) = self.existing(check) else {
            let assessment = State::new(quota.algorithm()).assess(now, quota, cost);
            let receipt = assessment.admitted.then(|| self.charge_newcomer(now, check, &assessment)).flatten();
            return assessment.verdict(assessment.admitted.then_some(cost), receipt);
        };
        let assessment = slot.state.assess(now, quota, cost);
        let mut receipt = None;
        if assessment.admitted {
            receipt = slot.charge(now, check, &assessment);
            self.sweep(now);
        } else if let Some(retry) = assessment.retry_after {
            slot.block(now, retry);
        }
        assessment.verdict(assessment.admitted.then_some(cost), receipt)
    }

    pub(super) fn charge(&mut self, now: u64, check: &MemoryCheck, assessment: &Assessment) -> Option<Receipt> {
        match self.existing(check) {
            Some(slot) => {
                let receipt = slot.charge(now, check, assessment);
                self.sweep(now);
                receipt
            }
            None => self.charge_newcomer(now, check, assessment),
        }
    }

    fn charge_newcomer(&mut self, now: u64, check: &MemoryCheck, assessment: &Assessment) -> Option<Receipt> {
        self.sweep(now);
        if check.cost == 0 || !self.make_room(now) {
            return None;
        }
        let mut slot = Slot {
            fingerprint: check.fingerprint,
            state: State::new(check.quota.algorithm()),
            idle_from: 0,
            blocked_until: 0,
        };
        let receipt = slot.charge(now, check, assessment);
        let at = place(self.slots.len());
        self.slots.push(slot);
        self.places.insert_unique(hash(check.fingerprint), at, hash_at(&self.slots));
        receipt
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
        if let Ok(entry) = self.places.find_entry(hash(gone.fingerprint), |&there| there == place(at)) {
            entry.remove();
        }
        // The last one has come to stand here.
        let last = place(self.slots.len());
        if let Some(moved) = self.slots.get(at)
            && let Some(there) = self.places.find_mut(hash(moved.fingerprint), |&there| there == last)
        {
            *there = place(at);
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
            self.places.shrink_to(self.slots.len() * 2, hash_at(&self.slots));
        }
    }
}

/// A place as the table keeps it. There are no more slots than it can say.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// What the table knows of the key at a place, for when it grows or shrinks.
fn hash_at(slots: &[Slot]) -> impl Fn(&u32) -> u64 {
    |&at| slots.get(at as usize).map_or(0, |slot| hash(slot.fingerprint))
}

/// A fingerprint is a hash already. The upper half has picked the shard.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn hash(fingerprint: u128) -> u64 {
    fingerprint as u64
}
