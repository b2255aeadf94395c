//! Counts in this process: sharded, bounded, and never locked across an await.
//!
//! Each key takes a slot, up to `max_keys`. Checks sweep a few slots at a time, and free those that no longer count anything.
//! When every slot is taken, newcomers are counted in a sketch, which never counts too little, and get a slot, with their
//! count, as soon as one is free. A client that still counts never loses its slot to a client of the same policy. A policy
//! with less than its share of the slots takes one from a policy with more, whose client is then counted in the sketch. So a
//! full store forgets no client, and a flood of clients of one policy does not push out those of another.

mod count;
mod fingerprint;
mod full;
mod shard;
mod shares;
mod sketch;
mod slot;
#[cfg(test)]
mod tests;

use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use fingerprint::Fingerprints;
pub(crate) use fingerprint::{Fingerprint, MemoryCheck};
use full::Full;
use shard::Shard;

use super::Verdicts;
use crate::algorithm::{Assessment, Receipt, Verdict};
use crate::clock::TimeSource;
use crate::key::Key;
use crate::key::prefix::Prefixes;
use crate::policy::Policy;

const SHARDS: usize = 64;

/// The store. For a key, time never runs backwards unless the clock does, whichever thread comes first.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    shards: Box<[Locked]>,
    fingerprints: Fingerprints,
    /// In a box, so that writing to it does not slow down threads that read the other fields.
    full: Box<Full>,
}

/// In cache lines of its own, so that a processor that takes one lock does not slow down one that takes the next.
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

    /// The fingerprint of a policy and a key. An address is counted as its network.
    #[inline]
    pub(crate) fn fingerprint(&self, policy: &Policy, key: &Key, prefixes: Prefixes) -> Fingerprint {
        Fingerprint::new(self.fingerprints.of(policy.name(), policy.quota().algorithm(), key, prefixes), policy)
    }

    /// Decides one check, which is the most frequent case.
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
                    self.full.report(now, overflowed);
                }
                verdict
            }
            None => without_shard().verdict(None, None),
        }
    }

    /// Decides the checks of one request together: all are charged, or none.
    pub(crate) fn check(&self, clock: &TimeSource, checks: &[MemoryCheck]) -> Verdicts {
        let mut locked = self.lock(checks);
        let now = time(clock, &mut locked);
        let assessed: SmallVec<[Assessment; 2]> = checks
            .iter()
            .map(|check| match find(&mut locked, check) {
                Some(shard) => shard.assess(now, check),
                None => without_shard(),
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
            self.full.report(now, overflowed);
        }
        verdicts
    }

    /// What a check would be answered.
    pub(crate) fn peek(&self, clock: &TimeSource, check: &MemoryCheck) -> Verdict {
        let mut locked = self.lock(slice::from_ref(check));
        let now = time(clock, &mut locked);
        let assessment = match find(&mut locked, check) {
            Some(shard) => shard.peek(now, check),
            None => without_shard(),
        };
        assessment.verdict(None, None)
    }

    /// Gives units back. What the sketch counts for several clients together stays until it expires.
    pub(crate) fn refund(&self, clock: &TimeSource, check: &MemoryCheck, receipt: Option<Receipt>) {
        let mut locked = self.lock(slice::from_ref(check));
        let now = time(clock, &mut locked);
        if let Some(shard) = find(&mut locked, check) {
            shard.refund(now, check, receipt);
        }
    }

    /// Forgets a key. In the sketch, only what is counted for this key alone.
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

    /// Locks the shards of these checks, each once and in the order of their numbers, so that requests cannot deadlock.
    fn lock(&self, checks: &[MemoryCheck]) -> Guards<'_> {
        let mut numbers: SmallVec<[usize; 2]> = checks.iter().map(|check| number(check.fingerprint.hash)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| Some((number, lock(self.shards.get(number)?)))).collect()
    }
}

/// For a key without a shard, which cannot happen. It is denied.
#[cold]
fn without_shard() -> Assessment {
    debug_assert!(false, "every key has a shard");
    Assessment { allowed: false, available: 0, reset_idle: 0, reset_charged: 0, retry_after: Some(1_000_000) }
}

type Guards<'a> = SmallVec<[(usize, MutexGuard<'a, Shard>); 2]>;

fn find<'l>(locked: &'l mut Guards<'_>, check: &MemoryCheck) -> Option<&'l mut Shard> {
    let wanted = number(check.fingerprint.hash);
    locked.iter_mut().find(|(number, _)| *number == wanted).map(|(_, shard)| &mut **shard)
}

/// One time for all of these shards: none of them has seen a later one.
fn time(clock: &TimeSource, locked: &mut Guards<'_>) -> u64 {
    match clock.steady_micros() {
        Some(now) => locked.iter_mut().fold(now, |now, (_, shard)| shard.not_before(now)),
        None => clock.micros(),
    }
}

/// After a panic of another thread, a count is wrong by at most one request.
fn lock(shard: &Locked) -> MutexGuard<'_, Shard> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(fingerprint: u128) -> usize {
    // The upper half picks the shard, the lower half the place in its table.
    usize::try_from((fingerprint >> 64) % SHARDS as u128).unwrap_or(0)
}
