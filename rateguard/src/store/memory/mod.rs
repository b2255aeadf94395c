//! Counts in this process: sharded, bounded, and never locked across an await.
//!
//! A key costs one slot, of which there are at most the cap. Slots whose count has run out are swept a few at a time
//! by the checks that come by. When every slot is taken, a newcomer takes the place of a client that still has quota
//! left (which gets the rest of a window anew), never of one that is being refused; if the slots it may look at are
//! all of that sort, it is admitted without being counted. So a full store shuts nobody out and lets nobody go.

mod shard;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use shard::Shard;

use super::Verdicts;
use crate::algorithm::{Assessment, State, Verdict};
use crate::key::Key;
use crate::quota::{Algorithm, Quota};

const SHARDS: usize = 64;
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
                    slot.block(now, retry);
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
            slot.refund(now, check, receipt);
        }
    }

    /// Forgets a key.
    pub(crate) fn reset(&self, check: &MemoryCheck) {
        let mut locked = self.lock(slice::from_ref(check));
        if let Some(shard) = find(&mut locked, check) {
            shard.forget(check);
        }
    }

    /// How many keys are counted.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
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
