//! A part of the keys under one lock: their slots, which slots are freed, and the sketch for keys without a slot.

use hashbrown::HashTable;

use super::count::Count;
use super::fingerprint::{Fingerprint, MemoryCheck};
use super::shares::Shares;
use super::sketch::Sketch;
use super::slot::Slot;
use crate::algorithm::{Assessment, Receipt, State, Verdict};

/// The most slots that a check sweeps, and how often a sweep happens, in microseconds.
const SWEEP_SLOTS: usize = 128;
pub(super) const SWEEP_EVERY: u64 = 10_000;
/// How many slots a newcomer looks at for one to take over, when all are taken.
const CANDIDATES: usize = 16;

/// A part of the keys, under one lock.
#[derive(Debug)]
pub(super) struct Shard {
    /// The index of each key in `slots`. About five bytes a key, so that many of them stay in the processor's cache. (An
    /// `IndexMap` keeps eight bytes more beside each slot, its hash, and indices of eight bytes; and it would need a hasher that
    /// hands the fingerprint on.)
    places: HashTable<u32>,
    slots: Vec<Slot>,
    cap: usize,
    /// How many slots each policy has. In a box, so that what every check reads fits in two cache lines.
    shares: Box<Shares>,
    /// The clients without a slot. Made when all slots are taken, and dropped when nothing in it counts any more.
    sketch: Option<Box<Sketch>>,
    /// Checks of clients without a slot, since they were last taken.
    overflowed: u64,
    hand: usize,
    next_sweep: u64,
    latest: u64,
}

impl Shard {
    pub(super) fn new(cap: usize) -> Shard {
        Shard {
            places: HashTable::new(),
            slots: Vec::new(),
            cap: cap.min(u32::MAX as usize),
            shares: Box::default(),
            sketch: None,
            overflowed: 0,
            hand: 0,
            next_sweep: 0,
            latest: 0,
        }
    }

    /// `now`, which was read before the lock was taken, or a later time that another thread has used since. Reading the time
    /// under the lock would do the same, but hold the lock twice as long.
    pub(super) fn not_before(&mut self, now: u64) -> u64 {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// How many keys have a slot.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    #[cfg(test)]
    pub(super) fn holds(&mut self, client: Fingerprint) -> bool {
        self.find(client.hash).is_some() || self.sketch.as_mut().is_some_and(|sketch| sketch.holds(client))
    }

    #[cfg(test)]
    pub(super) fn has_sketch(&self) -> bool {
        self.sketch.is_some()
    }

    #[cfg(test)]
    pub(super) fn slots_of(&self, policy: u32) -> usize {
        self.shares.of(policy)
    }

    /// How many checks of clients without a slot there were since the last call.
    #[inline]
    pub(super) fn take_overflowed(&mut self) -> u64 {
        std::mem::take(&mut self.overflowed)
    }

    pub(super) fn forget(&mut self, check: &MemoryCheck) {
        if let Some(at) = self.find(check.fingerprint.hash) {
            self.remove(at);
        } else if let Some(sketch) = &mut self.sketch {
            sketch.remove(check.fingerprint);
        }
    }

    pub(super) fn refund(&mut self, now: u64, check: &MemoryCheck, receipt: Option<Receipt>) {
        if let Some(slot) = self.existing(check) {
            slot.refund(now, check, receipt);
        } else if let Some(sketch) = &mut self.sketch {
            sketch.refund(now, check, receipt);
        }
    }

    fn existing(&mut self, check: &MemoryCheck) -> Option<&mut Slot> {
        let at = self.find(check.fingerprint.hash)?;
        self.slots.get_mut(at)
    }

    #[inline]
    fn find(&self, fingerprint: u128) -> Option<usize> {
        let is_there = |&at: &u32| self.slots.get(at as usize).is_some_and(|slot| slot.fingerprint == fingerprint);
        self.places.find(hash(fingerprint), is_there).map(|&at| at as usize)
    }

    /// Decides a check that is decided alone.
    pub(super) fn check(&mut self, now: u64, check: &MemoryCheck) -> Verdict {
        let cost = check.cost;
        let Some(slot) = self.existing(check) else {
            let assessment = self.assess_without_slot(now, check);
            let receipt = assessment.allowed.then(|| self.charge_without_slot(now, check)).flatten();
            return assessment.verdict(assessment.allowed.then_some(cost), receipt);
        };
        let (assessment, receipt) = slot.check(now, check);
        if assessment.allowed {
            self.sweep(now);
        }
        assessment.verdict(assessment.allowed.then_some(cost), receipt)
    }

    /// Whether a check fits now, and what it finds.
    pub(super) fn assess(&mut self, now: u64, check: &MemoryCheck) -> Assessment {
        match self.existing(check) {
            Some(slot) => slot.assess(now, check),
            None => self.assess_without_slot(now, check),
        }
    }

    /// The same, without changing anything.
    pub(super) fn peek(&mut self, now: u64, check: &MemoryCheck) -> Assessment {
        match self.existing(check) {
            Some(slot) => slot.peek(now, check),
            None => self.sketched(now, check).assess(now, &check.quota, check.cost),
        }
    }

    pub(super) fn charge(&mut self, now: u64, check: &MemoryCheck) -> Option<Receipt> {
        match self.existing(check) {
            Some(slot) => {
                let receipt = slot.charge(now, check);
                self.sweep(now);
                receipt
            }
            None => self.charge_without_slot(now, check),
        }
    }

    fn assess_without_slot(&mut self, now: u64, check: &MemoryCheck) -> Assessment {
        if self.sketch.is_none() {
            return State::new(check.quota.algorithm()).assess(now, &check.quota, check.cost);
        }
        let assessment = self.sketched(now, check).assess(now, &check.quota, check.cost);
        self.overflowed += u64::from(!assessment.allowed);
        assessment
    }

    /// The count of a client in the sketch.
    fn sketched(&mut self, now: u64, check: &MemoryCheck) -> Count {
        match &mut self.sketch {
            Some(sketch) => sketch.count(now, check.fingerprint, &check.quota),
            None => Count::NOTHING,
        }
    }

    /// Charges a new slot, with the count from the sketch; or, without a free slot, the sketch, which gives no receipts.
    fn charge_without_slot(&mut self, now: u64, check: &MemoryCheck) -> Option<Receipt> {
        self.sweep(now);
        if check.cost == 0 {
            return None;
        }
        let count = self.sketched(now, check);
        if count.has_state(now, &check.quota)
            && self.make_room(now, check.fingerprint.policy)
            && let Some(state) = count.to_state(now, &check.quota)
        {
            if let Some(sketch) = &mut self.sketch {
                sketch.remove(check.fingerprint);
            }
            let mut slot = Slot::new(check.fingerprint, state);
            let receipt = slot.charge(now, check);
            self.insert(slot);
            return receipt;
        }
        self.overflowed += 1;
        let count = count.charged(now, &check.quota, check.cost);
        self.put_in_sketch(now, check.fingerprint, count);
        None
    }

    fn put_in_sketch(&mut self, now: u64, client: Fingerprint, count: Count) {
        let cap = self.cap;
        self.sketch.get_or_insert_with(|| Box::new(Sketch::new(cap))).put(now, client, count);
    }

    fn insert(&mut self, slot: Slot) {
        let (fingerprint, policy) = (slot.fingerprint, slot.policy);
        let at = place(self.slots.len());
        self.slots.push(slot);
        self.places.insert_unique(hash(fingerprint), at, hash_at(&self.slots));
        self.shares.add(policy);
    }

    /// Whether there is a slot for a client of this policy. If all are taken, frees one that no longer counts; or, for a policy
    /// with less than its share, one of a policy with more, whose client is then counted in the sketch.
    fn make_room(&mut self, now: u64, policy: u32) -> bool {
        if self.slots.len() < self.cap {
            return true;
        }
        let len = self.slots.len().max(1);
        let start = self.hand % len;
        self.hand = (start + CANDIDATES) % len;
        let candidates =
            || (start..start + CANDIDATES.min(len)).filter_map(|at| Some((at % len, self.slots.get(at % len)?)));
        if let Some((at, _)) = candidates().find(|(_, slot)| slot.idle_from <= now) {
            self.remove(at);
            return true;
        }
        let share = self.shares.share(self.cap, policy);
        if self.shares.of(policy) >= share {
            return false;
        }
        let others = candidates().filter(|(_, slot)| self.shares.of(slot.policy) > share);
        let Some((at, slot)) = others.min_by_key(|(_, slot)| slot.idle_from) else { return false };
        let (client, count) = (slot.client(), slot.count());
        self.remove(at);
        self.put_in_sketch(now, client, count);
        true
    }

    fn remove(&mut self, at: usize) {
        if at >= self.slots.len() {
            return;
        }
        let gone = self.slots.swap_remove(at);
        self.shares.remove(gone.policy);
        if let Ok(entry) = self.places.find_entry(hash(gone.fingerprint), |&there| there == place(at)) {
            entry.remove();
        }
        // The last slot has moved here.
        let last = place(self.slots.len());
        if let Some(moved) = self.slots.get(at)
            && let Some(there) = self.places.find_mut(hash(moved.fingerprint), |&there| there == last)
        {
            *there = place(at);
        }
    }

    /// Frees a few slots that no longer count.
    fn sweep(&mut self, now: u64) {
        // A clock that stepped back does not stop the sweeps.
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
        if self.sketch.as_ref().is_some_and(|sketch| sketch.is_idle(now)) {
            self.sketch = None;
        }
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(self.slots.len() * 2);
            self.places.shrink_to(self.slots.len() * 2, hash_at(&self.slots));
        }
    }
}

/// An index as the table stores it. There are never more slots than fit.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The hash of the key at an index, which the table needs when it grows or shrinks.
fn hash_at(slots: &[Slot]) -> impl Fn(&u32) -> u64 {
    |&at| slots.get(at as usize).map_or(0, |slot| hash(slot.fingerprint))
}

/// A fingerprint is a hash already. Its upper half selects the shard.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn hash(fingerprint: u128) -> u64 {
    fingerprint as u64
}
