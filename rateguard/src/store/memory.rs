//! Counts in this process: sharded, bounded, and never locked across an await.
//!
//! A key costs one slot, of which there are at most the cap. Slots whose count has run out are swept a few at a time
//! by the checks that come by. When every slot is taken, a newcomer takes the place of a client that still has quota
//! left (which gets the rest of a window anew), never of one that is being refused; if the slots it may look at are
//! all of that sort, it is admitted without being counted. So a full store shuts nobody out and lets nobody go.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::Verdicts;
use crate::algorithm::{Assessment, State, Verdict};
use crate::key::Key;
use crate::quota::{Algorithm, Quota};

const SHARDS: usize = 64;
/// Slots that a check sweeps at most, and how often it does, in microseconds.
const SWEEP_SLOTS: usize = 128;
const SWEEP_EVERY: u64 = 10_000;
/// Slots that a newcomer looks at for one to take over when all are taken.
const CANDIDATES: usize = 16;

/// One check, as this store sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryCheck {
    pub(crate) fingerprint: u128,
    pub(crate) quota: Quota,
    pub(crate) cost: u32,
    /// Its refusal is none.
    pub(crate) shadow: bool,
}

/// The store.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    // Two hashes under keys drawn for this process make 128 bits: clients cannot aim for a collision.
    hashers: [RandomState; 2],
}

impl MemoryStore {
    /// A store of at most `cap` keys.
    pub(crate) fn new(cap: usize) -> MemoryStore {
        let each = cap.div_ceil(SHARDS).max(1);
        MemoryStore {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(each))).collect(),
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// What stands for a policy and a key.
    pub(crate) fn fingerprint(&self, policy: &str, algorithm: Algorithm, key: &Key) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|state| {
            let mut hasher = state.build_hasher();
            policy.hash(&mut hasher);
            algorithm.hash(&mut hasher);
            key.hash(&mut hasher);
            hasher.finish()
        });
        u128::from(high) << 64 | u128::from(low)
    }

    /// Decides the checks of one request together: all are charged, or none is.
    pub(crate) fn check(&self, now: u64, checks: &[MemoryCheck]) -> Verdicts {
        let mut locked = self.lock(checks);
        let assessed: SmallVec<[Assessment; 2]> = checks
            .iter()
            .map(|check| match find(&mut locked, check).and_then(|shard| shard.existing(check)) {
                Some(slot) => slot.state.assess(now, &check.quota, check.cost),
                None => State::new(check.quota.algorithm()).assess(now, &check.quota, check.cost),
            })
            .collect();
        let charge = checks.iter().zip(&assessed).all(|(check, assessment)| assessment.admitted || check.shadow);
        let mut verdicts = Verdicts::new();
        for (check, assessment) in checks.iter().zip(assessed) {
            let charge = charge && assessment.admitted;
            if let Some(shard) = find(&mut locked, check) {
                if charge {
                    shard.charge(now, check, &assessment);
                } else if let (Some(slot), Some(retry)) = (shard.existing(check), assessment.retry_after) {
                    slot.blocked_until = now.saturating_add(retry);
                }
            }
            verdicts.push(assessment.verdict(now, &check.quota, charge.then_some(check.cost)));
        }
        verdicts
    }

    /// What a check would be answered, without making it.
    pub(crate) fn peek(&self, now: u64, check: &MemoryCheck) -> Verdict {
        let mut locked = self.lock(slice::from_ref(check));
        let assessment = match find(&mut locked, check).and_then(|shard| shard.existing(check)) {
            Some(slot) => slot.state.peek(now, &check.quota, check.cost),
            None => State::new(check.quota.algorithm()).assess(now, &check.quota, check.cost),
        };
        assessment.verdict(now, &check.quota, None)
    }

    /// Gives units back.
    pub(crate) fn refund(&self, now: u64, check: &MemoryCheck, receipt: Option<u64>) {
        let mut locked = self.lock(slice::from_ref(check));
        if let Some(slot) = find(&mut locked, check).and_then(|shard| shard.existing(check)) {
            slot.state.refund(now, &check.quota, check.cost, receipt);
            slot.idle_from = slot.state.idle_from(&check.quota);
            slot.blocked_until = 0;
        }
    }

    /// Forgets a key.
    pub(crate) fn reset(&self, check: &MemoryCheck) {
        let mut locked = self.lock(slice::from_ref(check));
        let Some(shard) = find(&mut locked, check) else { return };
        if let Some(&at) = shard.places.get(&check.fingerprint) {
            shard.remove(at);
        }
    }

    /// How many keys are counted.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).slots.len()).sum()
    }

    /// The shards of these checks, each once and in the order of their numbers, so that two requests never wait for
    /// each other.
    fn lock(&self, checks: &[MemoryCheck]) -> Locked<'_> {
        let mut numbers: SmallVec<[usize; 2]> = checks.iter().map(|check| number(check.fingerprint)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| Some((number, lock(self.shards.get(number)?)))).collect()
    }
}

type Locked<'a> = SmallVec<[(usize, MutexGuard<'a, Shard>); 2]>;

fn find<'l>(locked: &'l mut Locked<'_>, check: &MemoryCheck) -> Option<&'l mut Shard> {
    let wanted = number(check.fingerprint);
    locked.iter_mut().find(|(number, _)| *number == wanted).map(|(_, shard)| &mut **shard)
}

/// A panic elsewhere leaves a count that is at worst one request behind.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(fingerprint: u128) -> usize {
    // The upper half picks the shard, the lower half the place in its table.
    usize::try_from((fingerprint >> 64) % SHARDS as u128).unwrap_or(0)
}

#[derive(Debug)]
struct Shard {
    places: HashMap<u128, usize, BuildHasherDefault<Already>>,
    slots: Vec<Slot>,
    cap: usize,
    hand: usize,
    next_sweep: u64,
}

#[derive(Debug)]
struct Slot {
    fingerprint: u128,
    state: State,
    /// From then on nothing counts any more.
    idle_from: u64,
    /// Until then the client is being refused.
    blocked_until: u64,
}

impl Slot {
    fn charge(&mut self, now: u64, check: &MemoryCheck, assessment: &Assessment) {
        self.state.charge(now, &check.quota, check.cost);
        self.idle_from = self.state.idle_from(&check.quota);
        if assessment.available == check.cost {
            self.blocked_until = now.saturating_add(assessment.reset_charged);
        }
    }
}

impl Shard {
    fn new(cap: usize) -> Shard {
        Shard { places: HashMap::default(), slots: Vec::new(), cap, hand: 0, next_sweep: 0 }
    }

    fn existing(&mut self, check: &MemoryCheck) -> Option<&mut Slot> {
        self.slots.get_mut(*self.places.get(&check.fingerprint)?)
    }

    fn charge(&mut self, now: u64, check: &MemoryCheck, assessment: &Assessment) {
        self.sweep(now);
        if check.cost == 0 {
            return;
        }
        if let Some(slot) = self.existing(check) {
            slot.charge(now, check, assessment);
        } else if self.make_room(now) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const WINDOW: u64 = 60_000_000;

    fn check(client: u128) -> MemoryCheck {
        // Spread over shards and tables as hashes are.
        let fingerprint = (client + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let quota = Quota::sliding_window(2, Duration::from_micros(WINDOW));
        MemoryCheck { fingerprint, quota, cost: 1, shadow: false }
    }

    fn admitted(store: &MemoryStore, now: u64, client: u128) -> bool {
        store.check(now, &[check(client)]).iter().all(|verdict| verdict.admitted)
    }

    #[test]
    fn a_full_store_keeps_its_cap_shuts_nobody_out_and_lets_nobody_go() {
        let store = MemoryStore::new(640);
        for blocked in 0..100 {
            assert!(admitted(&store, 0, blocked) && admitted(&store, 0, blocked) && !admitted(&store, 0, blocked));
        }
        for newcomer in 1000..200_000 {
            assert!(admitted(&store, 1000, newcomer), "nobody new is shut out");
        }
        assert!(store.len() <= 640);
        for blocked in 0..100 {
            assert!(!admitted(&store, 2000, blocked), "nobody gets a fresh quota by flooding the store");
        }
    }

    #[test]
    fn a_store_full_of_refused_clients_admits_newcomers_uncounted_and_forgets_none_of_them() {
        let store = MemoryStore::new(64);
        let mut blocked = Vec::new();
        for client in 0..10_000 {
            let _ = (admitted(&store, 0, client), admitted(&store, 0, client));
            if !admitted(&store, 0, client) {
                blocked.push(client);
            }
        }
        assert_eq!(store.len(), 64);
        assert_eq!(blocked.len(), 64);
        assert!(admitted(&store, 1, 20_000) && admitted(&store, 1, 20_000) && admitted(&store, 1, 20_000));
        assert!(blocked.iter().all(|client| !admitted(&store, 1, *client)));
    }

    #[test]
    fn idle_keys_go_with_the_traffic_of_others() {
        let store = MemoryStore::new(1_000_000);
        for client in 0..50_000 {
            let _ = admitted(&store, 0, client);
        }
        assert_eq!(store.len(), 50_000);
        let mut now = WINDOW;
        for turn in 0..100_000 {
            now += SWEEP_EVERY / 50;
            let _ = admitted(&store, now, 100_000 + turn % 500);
        }
        assert!(store.len() < 2_000, "{} left", store.len());
    }

    #[test]
    fn a_refused_request_of_an_unknown_client_takes_no_memory() {
        let store = MemoryStore::new(1000);
        for client in 0..5000 {
            let mut too_much = check(client);
            too_much.cost = 3;
            assert!(!store.check(0, &[too_much])[0].admitted);
        }
        assert_eq!(store.len(), 0);
    }
}
