//! Which policies there are, and the quotas that were set for them while the program runs.

use std::collections::{BTreeMap, HashMap};
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::policy::Policy;
use crate::quota::Quota;
use crate::telemetry::log;

/// Names that are kept at most: a program that makes names of what clients send must not fill the memory.
const MOST: usize = 10_000;
/// Places for the names met last. A power of two.
const RECENT: usize = 256;
/// Odd, so that different names stay different.
const SCATTER: usize = 0x9e37_79b9;
/// How long after it was set a quota may wait for its policy before the log is told, in microseconds.
const PATIENCE: u64 = 60_000_000;

/// A policy that a limiter has met: see [`RateGuard::policies`](crate::RateGuard::policies).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPolicy {
    name: String,
    written: Quota,
    set: Option<Quota>,
}

impl KnownPolicy {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The quota that applies now.
    pub fn quota(&self) -> Quota {
        self.set.unwrap_or(self.written)
    }

    /// The quota that the program was written with: what applies unless another is set. Where policies of one name have
    /// different ones, that of the first.
    pub fn written_quota(&self) -> Quota {
        self.written
    }

    /// Whether a quota was set for this name, so that the written one does not apply.
    pub fn is_set(&self) -> bool {
        self.set.is_some()
    }
}

#[derive(Debug)]
pub(super) struct Policies {
    book: RwLock<Book>,
    /// Whether any quota was set, so that there is something to look up.
    any_set: AtomicBool,
    /// Where the names of policies that are known lie in memory, how long they are, and where they are written. Only of
    /// those that lie there for ever.
    recent: Box<[AtomicUsize; RECENT]>,
    /// When to tell of quotas that no policy has asked for; `u64::MAX` if there are none.
    report_at: AtomicU64,
}

#[derive(Debug, Default)]
struct Book {
    written: BTreeMap<String, Written>,
    set: HashMap<String, Quota>,
}

/// The quotas that the program was written with under one name.
#[derive(Debug)]
struct Written {
    /// That of the policy met first.
    quota: Quota,
    /// The first that was written in a place of the program where it stays the same.
    constant: Option<(Quota, &'static Location<'static>)>,
    /// Whether the log has been told that another place has another quota.
    told: bool,
}

impl Written {
    fn new(policy: &Policy) -> Written {
        let constant = policy.place().map(|place| (policy.quota(), place));
        Written { quota: policy.quota(), constant, told: false }
    }

    /// Whether there is nothing to learn of this policy.
    fn knows(&self, policy: &Policy) -> bool {
        match (policy.place(), self.constant) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(place), Some((quota, known))) => {
                self.told || quota == policy.quota() || place == known
                    // These do not count together.
                    || quota.algorithm() != policy.quota().algorithm()
            }
        }
    }

    /// The quota that the policy contradicts, and where that is written, if it is news.
    fn meet(&mut self, policy: &Policy) -> Option<(Quota, &'static Location<'static>)> {
        if self.knows(policy) {
            return None;
        }
        if self.constant.is_none() {
            self.constant = policy.place().map(|place| (policy.quota(), place));
            return None;
        }
        self.told = true;
        self.constant
    }
}

impl Policies {
    pub(super) fn new(set: HashMap<String, Quota>, now: u64) -> Policies {
        Policies {
            any_set: AtomicBool::new(!set.is_empty()),
            report_at: AtomicU64::new(if set.is_empty() { u64::MAX } else { now.saturating_add(PATIENCE) }),
            book: RwLock::new(Book { written: BTreeMap::new(), set }),
            recent: Box::new([const { AtomicUsize::new(0) }; RECENT]),
        }
    }

    /// Takes note of a policy. For one that is known, one load.
    #[inline]
    pub(super) fn meet(&self, policy: &Policy) {
        let place = policy.static_name().and_then(|name| {
            // A name and the place where it has its quota: names lie beside each other, some ten bytes apart.
            let (address, written) =
                (name.as_ptr().addr(), policy.place().map_or(0, |place| ptr::from_ref(place).addr()));
            let place = self.recent.get(((address >> 3) ^ (address >> 11) ^ (written >> 3)) % RECENT)?;
            // The highest byte of an address is zero, so that there is room for a length.
            Some((place, (address.rotate_left(8) ^ name.len()).wrapping_mul(SCATTER) ^ written))
        });
        match place {
            Some((place, name)) if place.load(Ordering::Relaxed) == name => {}
            Some((place, name)) => {
                place.store(name, Ordering::Relaxed);
                self.write_down(policy);
            }
            None => self.write_down(policy),
        }
    }

    #[cold]
    fn write_down(&self, policy: &Policy) {
        if self.read().written.get(policy.name()).is_some_and(|known| known.knows(policy)) {
            return;
        }
        let mut book = self.write();
        let is_full = book.written.len() >= MOST;
        let contradicted = match book.written.get_mut(policy.name()) {
            Some(known) => known.meet(policy),
            None if is_full => None,
            None => {
                book.written.insert(policy.name().to_owned(), Written::new(policy));
                None
            }
        };
        drop(book);
        if let (Some((quota, first)), Some(second)) = (contradicted, policy.place()) {
            log::contradiction(policy.name(), [(quota, first), (policy.quota(), second)]);
        }
    }

    /// Whether a quota was set for any policy at all.
    #[inline]
    pub(super) fn any_set(&self) -> bool {
        self.any_set.load(Ordering::Relaxed)
    }

    /// The quota that was set for a policy, if there is one.
    pub(super) fn quota_set(&self, name: &str) -> Option<Quota> {
        self.read().set.get(name).copied()
    }

    /// Whether the policy is known.
    pub(super) fn set(&self, name: &str, quota: Quota, now: u64) -> bool {
        let mut book = self.write();
        let known = book.written.contains_key(name);
        // A name that nobody has met takes a place among those that may be met.
        if known || book.set.contains_key(name) || book.set.len() < MOST {
            book.set.insert(name.to_owned(), quota);
        }
        self.any_set.store(true, Ordering::Relaxed);
        if !known {
            self.report_at.store(now.saturating_add(PATIENCE), Ordering::Relaxed);
        }
        known
    }

    /// Whether one was set.
    pub(super) fn unset(&self, name: &str) -> bool {
        let mut book = self.write();
        let was_set = book.set.remove(name).is_some();
        self.any_set.store(!book.set.is_empty(), Ordering::Relaxed);
        was_set
    }

    pub(super) fn known(&self) -> Vec<KnownPolicy> {
        let book = self.read();
        let known = |(name, written): (&String, &Written)| KnownPolicy {
            name: name.clone(),
            written: written.quota,
            set: book.set.get(name).copied(),
        };
        book.written.iter().map(known).collect()
    }

    pub(super) fn unmatched(&self) -> Vec<String> {
        let book = self.read();
        let mut names: Vec<String> =
            book.set.keys().filter(|name| !book.written.contains_key(*name)).cloned().collect();
        names.sort_unstable();
        names
    }

    /// Tells the log, once, of quotas that no policy has asked for so far: most likely, a name is misspelt.
    pub(super) fn report(&self, now: impl FnOnce() -> u64) {
        let due = self.report_at.load(Ordering::Relaxed);
        if due == u64::MAX || now() < due {
            return;
        }
        if self.report_at.compare_exchange(due, u64::MAX, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let unmatched = self.unmatched();
        if unmatched.is_empty() {
            return;
        }
        let known: Vec<String> = self.read().written.keys().take(50).cloned().collect();
        log::unknown_policies(&unmatched, &known);
    }

    fn read(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }
}
