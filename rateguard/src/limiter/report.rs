//! Reports to operators: metrics, a debug event for each denial, and a warning for checks that were not counted.

#[cfg(feature = "metrics")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use smallvec::SmallVec;

#[cfg(feature = "metrics")]
use super::Store;
use super::{Checking, Limiter};
use crate::decision::{Check, Decision};
use crate::error::{StoreError, StoreErrorKind};
use crate::key::Key;
use crate::telemetry::{self, log};

/// How often the log repeats a reason, in microseconds.
const AGAIN: u64 = 60_000_000;

/// What has been reported already.
#[derive(Debug, Default)]
pub(super) struct Reports {
    errors: Mutex<SmallVec<[Met; 2]>>,
    /// When to measure again how much is kept in this process.
    #[cfg(feature = "metrics")]
    sizes_due: AtomicU64,
}

/// A reason why checks were not counted.
#[derive(Debug)]
struct Met {
    reason: StoreErrorKind,
    logged: u64,
    since: u64,
}

/// The report on a check that was sent to a remote store.
#[derive(Debug)]
pub(super) struct PendingReport {
    started: telemetry::Started,
    /// Identities to log on denial; `None` if no subscriber is enabled.
    identities: Option<Box<[Identity]>>,
}

/// A key as the log shows it: its kind, and a hash.
#[derive(Debug)]
struct Identity {
    kind: String,
    /// A keyed hash, the same for the same key.
    hash: String,
}

impl Identity {
    fn denied(&self, decision: &Decision) {
        log::denied(decision, &self.kind, &self.hash);
    }
}

impl Limiter {
    /// Reports the decisions, now or when they are made.
    pub(super) fn report(&self, checks: &[Check<'_>], mut checking: Checking) -> Checking {
        match &mut checking {
            Checking::Done(decisions) => self.report_decided(decisions),
            Checking::Asked(asked) => {
                let identities =
                    log::wants_denials().then(|| checks.iter().map(|check| self.identity(check.key)).collect());
                asked.as_mut().report(PendingReport { started: telemetry::Started::now(), identities });
            }
        }
        checking
    }

    /// Reports decisions that were made at once.
    #[inline]
    pub(super) fn report_decided(&self, decisions: &[Decision]) {
        telemetry::decided(decisions);
        if decisions.iter().any(Decision::would_deny) && log::wants_denials() {
            self.log_denied(decisions);
        }
        self.measure();
    }

    /// Whether one decision is reported at all.
    #[inline]
    pub(super) fn is_reported(allowed: bool) -> bool {
        cfg!(feature = "metrics") || (!allowed && log::wants_denials())
    }

    #[cold]
    fn log_denied(&self, decisions: &[Decision]) {
        for decision in decisions.iter().filter(|decision| decision.would_deny()) {
            self.identity(decision.key()).denied(decision);
        }
    }

    fn identity(&self, key: &Key) -> Identity {
        Identity { kind: key.kind().to_owned(), hash: self.0.settings.writer.digest(&self.localize(key)) }
    }

    /// Reports that the store did not count a check. The log gets a line if the reason is new, and once a minute.
    pub(crate) fn report_error(&self, error: &StoreError) {
        telemetry::store_error(error.kind());
        self.0.reports.error(error, self.clock().micros());
    }

    /// Updates the gauges of this process's sizes, once a second.
    #[cfg(feature = "metrics")]
    fn measure(&self) {
        const EVERY: u64 = 1_000_000;
        let (now, due) = (self.clock().micros(), self.0.reports.sizes_due.load(Ordering::Relaxed));
        // If the clock was set back, it is due too.
        if now < due && due - now <= EVERY {
            return;
        }
        let next = now.saturating_add(EVERY);
        if self.0.reports.sizes_due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let keys = match &self.0.store {
                Store::Memory(store) => store.len(),
                Store::Remote(_) => self.local().len(),
            };
            telemetry::memory_keys(keys);
            if self.0.deny_cache.is_on() {
                telemetry::deny_cache_entries(self.0.deny_cache.len(now));
            }
        }
    }

    #[cfg(not(feature = "metrics"))]
    #[inline]
    #[expect(clippy::unused_self, reason = "there is something to do with the feature `metrics`")]
    fn measure(&self) {}
}

impl PendingReport {
    pub(super) fn decided(self, limiter: &Limiter, decisions: &[Decision]) {
        self.started.ended();
        telemetry::decided(decisions);
        for (identity, decision) in self.identities.iter().flatten().zip(decisions) {
            if decision.would_deny() {
                identity.denied(decision);
            }
        }
        limiter.measure();
    }
}

impl Reports {
    /// One line for each reason at once, and then one a minute while it lasts, with the number of checks.
    ///
    /// The connection reports outages. This is for other errors, perhaps for some keys only.
    fn error(&self, error: &StoreError, now: u64) {
        if error.is_of_outage() {
            return;
        }
        if let Some(checks) = self.due(error.kind(), now) {
            log::not_counted(error, checks);
        }
    }

    /// How many checks had this reason since it was last logged; `None` if it is not due.
    fn due(&self, reason: StoreErrorKind, now: u64) -> Option<u64> {
        let mut met = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        match met.iter_mut().find(|met| met.reason == reason) {
            None => {
                met.push(Met { reason, logged: now, since: 0 });
                Some(1)
            }
            Some(met) => {
                met.since += 1;
                if now.abs_diff(met.logged) < AGAIN {
                    return None;
                }
                met.logged = now;
                Some(std::mem::take(&mut met.since))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_logged_at_once_and_then_once_a_minute_with_its_number() {
        let reports = Reports::default();
        let due = |reason, second: u64| reports.due(reason, second * 1_000_000);
        assert_eq!(due(StoreErrorKind::WrongType, 0), Some(1));
        assert_eq!(due(StoreErrorKind::WrongType, 1), None);
        assert_eq!(due(StoreErrorKind::OutOfMemory, 2), Some(1), "another reason is other news");
        assert_eq!(due(StoreErrorKind::WrongType, 59), None);
        assert_eq!(due(StoreErrorKind::WrongType, 60), Some(3));
        assert_eq!(due(StoreErrorKind::WrongType, 61), None);
    }
}
