//! Counts in this process: sharded, bounded, and never locked across an await.
//!
//! A key costs one slot, of which there are at most the cap. Slots whose count has run out are swept a few at a time
//! by the checks that come by. When every slot is taken, a newcomer takes the place of a client that still has quota
//! left (which gets the rest of a window anew), never of one that is being refused; if the slots it may look at are
//! all of that sort, it is admitted without being counted. So a full store shuts nobody out and lets nobody go.

mod fingerprint;
mod shard;
#[cfg(test)]
mod tests;

use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use fingerprint::Fingerprints;
use shard::Shard;

use super::Verdicts;
use crate::algorithm::{Assessment, Receipt, State, Verdict};
use crate::clock::TimeSource;
use crate::key::Key;
use crate::network::Prefixes;
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

/// The store. The times that a key sees never go back unless the clock does, whichever thread comes first.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    shards: Box<[Locked]>,
    fingerprints: Fingerprints,
}

/// In cache lines of its own: a processor that takes one lock does not slow down who takes the next.
#[derive(Debug)]
#[repr(align(128))]
struct Locked(Mutex<Shard>);

impl MemoryStore {
    /// A store of at most `cap` keys.
    pub(crate) fn new(cap: usize) -> MemoryStore {
        let each = cap.div_ceil(SHARDS).max(1);
        MemoryStore {
            shards: (0..SHARDS).map(|_| Locked(Mutex::new(Shard::new(each)))).collect(),
            fingerprints: Fingerprints::new(),
        }
    }

    /// What stands for a policy and a key, with addresses as their networks.
    #[inline]
    pub(crate) fn fingerprint(&self, policy: &str, algorithm: Algorithm, key: &Key, prefixes: Prefixes) -> u128 {
        self.fingerprints.of(policy, algorithm, key, prefixes)
    }

    /// Decides one check, as nearly always.
    #[inline]
    pub(crate) fn check_one(&self, clock: &TimeSource, check: &MemoryCheck) -> Verdict {
        match self.shards.get(number(check.fingerprint)) {
            Some(shard) => {
                let early = clock.steady_micros();
                let mut shard = lock(shard);
                let now = early.map_or_else(|| clock.micros(), |now| shard.not_before(now));
                shard.check(now, check)
            }
            // There is none; this is only so that nothing needs to panic.
            None => State::new(check.quota.algorithm()).assess(0, &check.quota, check.cost).verdict(None, None),
        }
    }

    /// Decides the checks of one request together: all are charged, or none is.
    pub(crate) fn check(&self, clock: &TimeSource, checks: &[MemoryCheck]) -> Verdicts {
        let mut locked = self.lock(checks);
        let now = time(clock, &mut locked);
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
            let mut receipt = None;
            if let Some(shard) = find(&mut locked, check) {
                if charge {
                    receipt = shard.charge(now, check, &assessment);
                } else if let (Some(slot), Some(retry)) = (shard.existing(check), assessment.retry_after) {
                    slot.block(now, retry);
                }
            }
            verdicts.push(assessment.verdict(charge.then_some(check.cost), receipt));
        }
        verdicts
    }

    /// What a check would be answered, without making it.
    pub(crate) fn peek(&self, clock: &TimeSource, check: &MemoryCheck) -> Verdict {
        let mut locked = self.lock(slice::from_ref(check));
        let now = time(clock, &mut locked);
        let assessment = match find(&mut locked, check).and_then(|shard| shard.existing(check)) {
            Some(slot) => slot.state.peek(now, &check.quota, check.cost),
            None => State::new(check.quota.algorithm()).assess(now, &check.quota, check.cost),
        };
        assessment.verdict(None, None)
    }

    /// Gives units back.
    pub(crate) fn refund(&self, clock: &TimeSource, check: &MemoryCheck, receipt: Option<Receipt>) {
        let mut locked = self.lock(slice::from_ref(check));
        let now = time(clock, &mut locked);
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
    fn lock(&self, checks: &[MemoryCheck]) -> Guards<'_> {
        let mut numbers: SmallVec<[usize; 2]> = checks.iter().map(|check| number(check.fingerprint)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| Some((number, lock(self.shards.get(number)?)))).collect()
    }
}

type Guards<'a> = SmallVec<[(usize, MutexGuard<'a, Shard>); 2]>;

fn find<'l>(locked: &'l mut Guards<'_>, check: &MemoryCheck) -> Option<&'l mut Shard> {
    let wanted = number(check.fingerprint);
    locked.iter_mut().find(|(number, _)| *number == wanted).map(|(_, shard)| &mut **shard)
}

/// The time for all of these: not before what any of them has seen.
fn time(clock: &TimeSource, locked: &mut Guards<'_>) -> u64 {
    match clock.steady_micros() {
        Some(now) => locked.iter_mut().fold(now, |now, (_, shard)| shard.not_before(now)),
        None => clock.micros(),
    }
}

/// A panic elsewhere leaves a count that is at worst one request behind.
fn lock(shard: &Locked) -> MutexGuard<'_, Shard> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(fingerprint: u128) -> usize {
    // The upper half picks the shard, the lower half the place in its table.
    usize::try_from((fingerprint >> 64) % SHARDS as u128).unwrap_or(0)
}
