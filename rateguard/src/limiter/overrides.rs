//! The policies that a limiter knows, and their overrides: quotas that were set while the program runs.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Limiter;
use super::policy_info::PolicyInfo;
use crate::decision::Check;
use crate::policy::Policy;
use crate::quota::Quota;
use crate::telemetry::log;

/// Names that are kept at most: a program that makes names of what clients send must not fill the memory.
const MOST: usize = 10_000;
/// Cache entries for the policies registered last. A power of two.
const RECENT: usize = 256;
/// Odd, so that different marks stay different.
const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;
/// How long an override may wait for its policy before it is reported, in microseconds.
const PATIENCE: u64 = 60_000_000;

impl Limiter {
    /// Returns whether it applies to a policy that is known.
    pub(crate) fn set_quota(&self, name: &str, quota: Quota) -> bool {
        if self.0.overrides.is_by_request(name) {
            log::quota_by_request(name, quota);
            return false;
        }
        let known = self.0.overrides.set(name, quota, self.clock().micros());
        log::quota_set(name, quota, known);
        known
    }

    /// Returns whether there was an override.
    pub(crate) fn unset_quota(&self, name: &str) -> bool {
        let was_set = self.0.overrides.unset(name);
        if was_set {
            log::quota_unset(name);
        }
        was_set
    }

    pub(crate) fn policies(&self) -> Vec<PolicyInfo> {
        self.0.overrides.policies()
    }

    pub(crate) fn unmatched_quotas(&self) -> Vec<String> {
        self.0.overrides.unmatched()
    }

    /// Takes note of a policy, perhaps before it is checked.
    #[inline]
    pub(crate) fn register(&self, policy: &Policy) {
        self.0.overrides.register(policy, false);
    }

    /// The same, for the policies of these checks.
    pub(crate) fn register_all(&self, checks: &[Check<'_>]) {
        for check in checks {
            self.register(check.policy);
        }
    }

    /// The same, for a policy that limits requests. Returns whether it is the first of its name that does.
    #[inline]
    pub(crate) fn register_limit(&self, policy: &Policy) -> bool {
        self.0.overrides.register(policy, true)
    }

    /// The policy as it applies now: with its override, and as a shadow if all are.
    pub(crate) fn current<'p>(&self, policy: &'p Policy) -> Cow<'p, Policy> {
        if !self.is_overridden() {
            return Cow::Borrowed(policy);
        }
        let overrides = &self.0.overrides;
        overrides.report(|| self.clock().micros());
        let quota = if overrides.any() && !policy.is_by_request() { overrides.get(policy.name()) } else { None };
        let shadow = self.0.settings.shadow && !policy.is_shadow();
        if quota.is_none() && !shadow {
            return Cow::Borrowed(policy);
        }
        let mut current = policy.clone().with_quota(quota.unwrap_or(policy.quota()));
        if shadow {
            current = current.shadow(true);
        }
        Cow::Owned(current)
    }

    /// Whether any policy is overridden or put into shadow mode.
    #[inline]
    pub(super) fn is_overridden(&self) -> bool {
        self.0.settings.shadow || self.0.overrides.any()
    }
}

#[derive(Debug)]
pub(super) struct Overrides {
    book: RwLock<Book>,
    /// Whether there is any override, so that there is something to look up.
    any: AtomicBool,
    /// The marks of the policies registered last, of those whose names are written in the program.
    recent: Box<[AtomicU64; RECENT]>,
    /// When to report overrides that no policy has; `u64::MAX` if there are none.
    report_at: AtomicU64,
}

#[derive(Debug, Default)]
struct Book {
    known: BTreeMap<String, Known>,
    overrides: HashMap<String, Quota>,
}

/// The quotas that the program has under one name.
#[derive(Debug)]
struct Known {
    /// That of the first policy.
    quota: Quota,
    /// The first that does not change while the program runs, and where it is written.
    constant: Option<(Quota, &'static Location<'static>)>,
    /// Whether each request has its own.
    by_request: bool,
    /// Whether the log says already that another place has another quota.
    logged: bool,
    /// Whether a policy of the name limits requests.
    limits: bool,
}

impl Known {
    fn new(policy: &Policy, limits: bool) -> Known {
        let constant = policy.place().map(|place| (policy.quota(), place));
        Known { quota: policy.quota(), constant, by_request: policy.is_by_request(), logged: false, limits }
    }

    /// Whether this policy is already known.
    fn knows(&self, policy: &Policy) -> bool {
        if policy.is_by_request() && !self.by_request {
            return false;
        }
        match (policy.place(), self.constant) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(place), Some((quota, known))) => {
                self.logged || quota == policy.quota() || place == known
                    // These do not count together.
                    || quota.algorithm() != policy.quota().algorithm()
            }
        }
    }

    /// The quota that the policy contradicts, and where that is written, if it is news.
    fn learn(&mut self, policy: &Policy) -> Option<(Quota, &'static Location<'static>)> {
        if self.knows(policy) {
            return None;
        }
        if policy.is_by_request() {
            self.by_request = true;
            return None;
        }
        if self.constant.is_none() {
            self.constant = policy.place().map(|place| (policy.quota(), place));
            return None;
        }
        self.logged = true;
        self.constant
    }
}

impl Overrides {
    pub(super) fn new(overrides: HashMap<String, Quota>, now: u64) -> Overrides {
        Overrides {
            any: AtomicBool::new(!overrides.is_empty()),
            report_at: AtomicU64::new(if overrides.is_empty() { u64::MAX } else { now.saturating_add(PATIENCE) }),
            book: RwLock::new(Book { known: BTreeMap::new(), overrides }),
            recent: Box::new([const { AtomicU64::new(0) }; RECENT]),
        }
    }

    /// Registers a policy. A known one costs one load. Returns whether it is the first of its name that `limits` requests.
    #[inline]
    fn register(&self, policy: &Policy, limits: bool) -> bool {
        // A name that is made while the program runs may be a client's, who could choose one with the mark of another.
        let mark = policy.static_name().map(|_| policy.mark());
        let place = mark.and_then(|mark| {
            // A policy that limits requests is taken note of as that and as itself.
            let half = if limits { RECENT / 2 } else { 0 };
            let place = (usize::try_from(mark.wrapping_mul(SCATTER) >> 32).unwrap_or(0) % RECENT) ^ half;
            Some((self.recent.get(place)?, mark))
        });
        match place {
            Some((place, mark)) if place.load(Ordering::Relaxed) == mark => false,
            Some((place, mark)) => {
                place.store(mark, Ordering::Relaxed);
                self.write_down(policy, limits)
            }
            None => self.write_down(policy, limits),
        }
    }

    #[cold]
    fn write_down(&self, policy: &Policy, limits: bool) -> bool {
        let is_no_news = |known: &Known| known.knows(policy) && (known.limits || !limits);
        if self.read().known.get(policy.name()).is_some_and(is_no_news) {
            return false;
        }
        let mut book = self.write();
        let is_full = book.known.len() >= MOST;
        let (contradicted, is_first) = match book.known.get_mut(policy.name()) {
            Some(known) => {
                let is_first = limits && !known.limits;
                known.limits |= limits;
                (known.learn(policy), is_first)
            }
            None if is_full => (None, false),
            None => {
                book.known.insert(policy.name().to_owned(), Known::new(policy, limits));
                (None, limits)
            }
        };
        drop(book);
        if let (Some((quota, first)), Some(second)) = (contradicted, policy.place()) {
            log::contradiction(policy.name(), [(quota, first), (policy.quota(), second)]);
        }
        is_first
    }

    #[inline]
    fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    fn get(&self, name: &str) -> Option<Quota> {
        self.read().overrides.get(name).copied()
    }

    fn is_by_request(&self, name: &str) -> bool {
        self.read().known.get(name).is_some_and(|known| known.by_request)
    }

    /// Returns whether a policy of this name is known.
    fn set(&self, name: &str, quota: Quota, now: u64) -> bool {
        let mut book = self.write();
        let known = book.known.contains_key(name);
        // A name without a policy takes one of the places that are kept.
        if known || book.overrides.contains_key(name) || book.overrides.len() < MOST {
            book.overrides.insert(name.to_owned(), quota);
        }
        self.any.store(true, Ordering::Relaxed);
        if !known {
            self.report_at.store(now.saturating_add(PATIENCE), Ordering::Relaxed);
        }
        known
    }

    /// Returns whether there was an override.
    fn unset(&self, name: &str) -> bool {
        let mut book = self.write();
        let was_set = book.overrides.remove(name).is_some();
        self.any.store(!book.overrides.is_empty(), Ordering::Relaxed);
        was_set
    }

    fn policies(&self) -> Vec<PolicyInfo> {
        let book = self.read();
        let info = |(name, known): (&String, &Known)| PolicyInfo {
            name: name.clone(),
            default_quota: (!known.by_request).then_some(known.quota),
            quota_override: book.overrides.get(name).copied().filter(|_| !known.by_request),
        };
        book.known.iter().map(info).collect()
    }

    fn unmatched(&self) -> Vec<String> {
        let book = self.read();
        let mut names: Vec<String> =
            book.overrides.keys().filter(|name| !book.known.contains_key(*name)).cloned().collect();
        names.sort_unstable();
        names
    }

    /// Warns, once, of overrides that no policy has had so far: most likely, a name is misspelt.
    fn report(&self, now: impl FnOnce() -> u64) {
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
        let known: Vec<String> = self.read().known.keys().take(50).cloned().collect();
        log::unknown_policies(&unmatched, &known);
    }

    fn read(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }
}
