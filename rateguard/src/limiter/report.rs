//! What operators are told of a check: metrics, and an event for each refusal.

#[cfg(feature = "metrics")]
use std::sync::atomic::Ordering;

#[cfg(feature = "metrics")]
use super::Store;
use super::{Check, Checking, RateGuard};
use crate::decision::Decision;
use crate::http::headers::whole_seconds;
use crate::telemetry;

/// A check that the store was asked about.
#[derive(Debug)]
pub(crate) struct Watch {
    started: telemetry::Started,
    /// Of whom to speak if a limit refuses. Only if anybody listens.
    whom: Option<Box<[Whom]>>,
}

/// Whom a limit counts, without saying who it is.
#[derive(Debug)]
struct Whom {
    kind: String,
    /// The same for the same identity, and a keyed hash.
    identity: String,
}

impl RateGuard {
    /// Tells of what was decided, now or when it is.
    pub(super) fn watch(&self, checks: &[Check<'_>], mut checking: Checking) -> Checking {
        match &mut checking {
            Checking::Done(decisions) => self.decided(checks, decisions),
            #[cfg(feature = "_shared")]
            Checking::Asked(asked) => {
                let whom = is_heard().then(|| checks.iter().map(|check| self.whom(check)).collect());
                asked.as_mut().watch(Watch { started: telemetry::Started::now(), whom });
            }
            #[cfg(not(feature = "_shared"))]
            Checking::Asked(_) => {}
        }
        checking
    }

    /// Tells of what was decided at once.
    #[inline]
    pub(super) fn decided(&self, checks: &[Check<'_>], decisions: &[Decision]) {
        telemetry::decided(decisions);
        if decisions.iter().any(Decision::would_deny) && is_heard() {
            self.tell_refused(checks, decisions);
        }
        self.sizes();
    }

    /// Whether there is anything to tell of one decision.
    #[inline]
    pub(super) fn is_told(allowed: bool) -> bool {
        cfg!(feature = "metrics") || (!allowed && is_heard())
    }

    #[cold]
    fn tell_refused(&self, checks: &[Check<'_>], decisions: &[Decision]) {
        for (check, decision) in checks.iter().zip(decisions).filter(|(_, decision)| decision.would_deny()) {
            tell(decision, &self.whom(check));
        }
    }

    fn whom(&self, check: &Check<'_>) -> Whom {
        let identity = self.inner.settings.writer.digest(&self.localize(check.key));
        Whom { kind: check.key.kind().to_owned(), identity }
    }

    /// How much is kept in this process, once a second.
    #[cfg(feature = "metrics")]
    pub(super) fn sizes(&self) {
        const EVERY: u64 = 1_000_000;
        let (now, due) = (self.inner.settings.clock.micros(), self.inner.sizes_due.load(Ordering::Relaxed));
        // A clock that was set back does not stop it.
        if now < due && due - now <= EVERY {
            return;
        }
        let next = now.saturating_add(EVERY);
        if self.inner.sizes_due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let keys = match &self.inner.store {
                Store::Memory(store) => store.len(),
                #[cfg(feature = "_shared")]
                Store::Shared(_) => self.inner.local.len(),
            };
            telemetry::memory_keys(keys);
            #[cfg(feature = "_shared")]
            if self.inner.spent.is_on() {
                telemetry::deny_cache_entries(self.inner.spent.len(now));
            }
        }
    }

    #[cfg(not(feature = "metrics"))]
    #[inline]
    #[expect(clippy::unused_self, reason = "there is something to do with the feature `metrics`")]
    pub(super) fn sizes(&self) {}
}

#[cfg(feature = "_shared")]
impl Watch {
    pub(super) fn ended(self, limiter: &RateGuard, decisions: &[Decision]) {
        self.started.ended();
        telemetry::decided(decisions);
        for (whom, decision) in self.whom.iter().flatten().zip(decisions) {
            if decision.would_deny() {
                tell(decision, whom);
            }
        }
        limiter.sizes();
    }
}

/// Whether anybody listens to refusals.
fn is_heard() -> bool {
    tracing::enabled!(target: "rateguard", tracing::Level::DEBUG)
}

fn tell(decision: &Decision, whom: &Whom) {
    tracing::debug!(
        target: "rateguard",
        policy = decision.policy(),
        key_kind = whom.kind,
        identity = whom.identity,
        limit = decision.limit(),
        retry_after = decision.retry_after().map(|wait| whole_seconds(wait).max(1)),
        shadow = decision.is_shadow(),
        from_deny_cache = decision.is_remembered(),
        degraded = decision.degraded_reason().map(crate::error::StoreErrorKind::name),
        "rateguard: denied"
    );
}
