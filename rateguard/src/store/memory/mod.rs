//! Counts in this process: sharded, bounded, and never locked across an await.
//!
//! A key costs one slot, of which there are at most the cap. Slots whose count has run out are swept a few at a time
//! by the checks that come by. When every slot is taken, newcomers are counted in a sketch, of which nobody's count comes
//! out too small, and move to a slot with what was counted as soon as there is one. Nobody who still counts gives up a
//! slot to a client of the same policy. A policy with less than its share of the slots takes one from a policy with more,
//! whose client goes on in the sketch. So a full store forgets nobody, and a flood of one policy's clients pushes out none
//! of another's.

mod count;
mod fingerprint;
mod full;
mod shard;
mod shares;
mod sketch;
#[cfg(test)]
mod tests;

use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

pub(crate) use fingerprint::Fingerprint;
use fingerprint::Fingerprints;
use full::Full;
use shard::Shard;

use super::Verdicts;
use crate::algorithm::{Assessment, Receipt, Verdict};
use crate::clock::TimeSource;
use crate::key::Key;
use crate::key::prefix::Prefixes;
use crate::policy::Policy;
use crate::quota::Quota;

const SHARDS: usize = 64;

/// One check, as this store sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryCheck {
    pub(crate) fingerprint: Fingerprint,
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
    /// Elsewhere, so that writing there does not slow down who reads what lies here.
    full: Box<Full>,
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
            full: Box::new(Full::new(cap)),
        }
    }

    /// What stands for a policy and a key, with addresses as their networks.
    #[inline]
    pub(crate) fn fingerprint(&self, policy: &Policy, key: &Key, prefixes: Prefixes) -> Fingerprint {
        Fingerprint::new(self.fingerprints.of(policy.name(), policy.quota().algorithm(), key, prefixes), policy)
    }

    /// Decides one check, as nearly always.
    #[inline]
    pub(crate) fn check_one(&self, clock: &TimeSource, check: &MemoryCheck) -> Verdict {
        match self.shards.get(number(check.fingerprint.hash)) {
            Some(shard) => {
                let early = clock.steady_micros();
                let mut shard = lock(shard);
                let now = early.map_or_else(|| clock.micros(), |now| shard.not_before(now));
                let verdict = shard.check(now, check);
                let overflowed = shard.take_overflowed();
                drop(shard);
                if overflowed > 0 {
                    self.full.tell(now, overflowed);
                }
                verdict
            }
            None => nowhere().verdict(None, None),
        }
    }

    /// Decides the checks of one request together: all are charged, or none is.
    pub(crate) fn check(&self, clock: &TimeSource, checks: &[MemoryCheck]) -> Verdicts {
        let mut locked = self.lock(checks);
        let now = time(clock, &mut locked);
        let assessed: SmallVec<[Assessment; 2]> = checks
            .iter()
            .map(|check| match find(&mut locked, check) {
                Some(shard) => shard.assess(now, check),
                None => nowhere(),
            })
            .collect();
        let charge = checks.iter().zip(&assessed).all(|(check, assessment)| assessment.allowed || check.shadow);
        let mut verdicts = Verdicts::new();
        for (check, assessment) in checks.iter().zip(assessed) {
            let charge = charge && assessment.allowed;
            let shard = if charge { find(&mut locked, check) } else { None };
            let receipt = shard.and_then(|shard| shard.charge(now, check));
            verdicts.push(assessment.verdict(charge.then_some(check.cost), receipt));
        }
        let overflowed = locked.iter_mut().map(|(_, shard)| shard.take_overflowed()).sum();
        drop(locked);
        if overflowed > 0 {
            self.full.tell(now, overflowed);
        }
        verdicts
    }

    /// What a check would be answered, without making it.
    pub(crate) fn peek(&self, clock: &TimeSource, check: &MemoryCheck) -> Verdict {
        let mut locked = self.lock(slice::from_ref(check));
        let now = time(clock, &mut locked);
        let assessment = match find(&mut locked, check) {
            Some(shard) => shard.peek(now, check),
            None => nowhere(),
        };
        assessment.verdict(None, None)
    }

    /// Gives units back. What the sketch counts for several clients together stays until it runs out.
    pub(crate) fn refund(&self, clock: &TimeSource, check: &MemoryCheck, receipt: Option<Receipt>) {
        let mut locked = self.lock(slice::from_ref(check));
        let now = time(clock, &mut locked);
        if let Some(shard) = find(&mut locked, check) {
            shard.refund(now, check, receipt);
        }
    }

    /// Forgets a key; of the sketch, what it counts for this key alone.
    pub(crate) fn reset(&self, check: &MemoryCheck) {
        let mut locked = self.lock(slice::from_ref(check));
        if let Some(shard) = find(&mut locked, check) {
            shard.forget(check);
        }
    }

    /// How many keys have a slot.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// The shards of these checks, each once and in the order of their numbers, so that two requests never wait for
    /// each other.
    fn lock(&self, checks: &[MemoryCheck]) -> Guards<'_> {
        let mut numbers: SmallVec<[usize; 2]> = checks.iter().map(|check| number(check.fingerprint.hash)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| Some((number, lock(self.shards.get(number)?)))).collect()
    }
}

/// What cannot be: a key without a shard. It is denied.
#[cold]
fn nowhere() -> Assessment {
    debug_assert!(false, "every key has a shard");
    Assessment { allowed: false, available: 0, reset_idle: 0, reset_charged: 0, retry_after: Some(1_000_000) }
}

type Guards<'a> = SmallVec<[(usize, MutexGuard<'a, Shard>); 2]>;

fn find<'l>(locked: &'l mut Guards<'_>, check: &MemoryCheck) -> Option<&'l mut Shard> {
    let wanted = number(check.fingerprint.hash);
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
