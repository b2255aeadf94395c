//! Waits for a remote store's answer, and decides if there is none.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use smallvec::SmallVec;

use super::deny_cache::Limits;
use super::group::{Places, decide, spread};
use super::report::PendingReport;
use super::{Decisions, Limiter};
use crate::decision::{Decision, OwnedCheck};
use crate::error::{StoreError, StoreErrorKind};
use crate::policy::{OnError, Policy};
use crate::store::Verdicts;
use crate::store::memory::MemoryCheck;
use crate::store::remote::Wait;

/// A check that waits for an answer. It is boxed, so that a request that does not wait needs no room for it.
pub(crate) type Later = Pin<Box<Asked>>;

/// What was decided.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) decisions: Decisions,
    /// How long the request has waited for the store.
    pub(crate) waited: Duration,
}

pin_project! {
    /// A check that was sent to a remote store.
    pub(crate) struct Asked {
        #[pin]
        answer: Wait<Verdicts>,
        limiter: Limiter,
        pending: Pending,
        report: Option<PendingReport>,
    }
}

impl Asked {
    pub(super) fn new(answer: Wait<Verdicts>, limiter: Limiter, pending: Pending) -> Asked {
        Asked { answer, limiter, pending, report: None }
    }

    /// What to report when it is decided.
    pub(super) fn report(self: Pin<&mut Self>, report: PendingReport) {
        *self.project().report = Some(report);
    }
}

impl Future for Asked {
    type Output = Settled;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Settled> {
        let this = self.project();
        let told = ready!(this.answer.poll(cx));
        let decisions = std::mem::take(this.pending).settle(this.limiter, told.result);
        if let Some(report) = this.report.take() {
            report.decided(this.limiter, &decisions);
        }
        Poll::Ready(Settled { decisions, waited: told.waited })
    }
}

/// Everything that is needed to make decisions, with or without the store's answer.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) checks: SmallVec<[OwnedCheck; 2]>,
    /// The checks as this process counts them, and as the deny cache knows them.
    pub(super) limits: Limits,
    pub(super) asked_at: u64,
    pub(super) places: Option<Places>,
}

impl Pending {
    pub(super) fn settle(self, limiter: &Limiter, answer: Result<Verdicts, StoreError>) -> Decisions {
        let Pending { checks, limits, asked_at, places } = self;
        let answer = match answer {
            Ok(verdicts) if verdicts.len() != checks.len() => {
                Err(StoreError::other("the store answered another request"))
            }
            answer => answer,
        };
        let decisions = match answer {
            Ok(verdicts) => {
                limiter.learn(&limits, asked_at, &verdicts);
                decide(checks.into_iter(), verdicts)
            }
            Err(error) => limiter.decide_without_store(checks, &limits, &error),
        };
        spread(decisions, places)
    }
}

/// What applies while the store does not count.
impl Limiter {
    /// The failure policies answer. A slow moment is not an outage: unless the store is known to be down, this process
    /// counts what the store did not count, even if the policy is [`OnError::Open`].
    fn decide_without_store(
        &self,
        checks: SmallVec<[OwnedCheck; 2]>,
        limits: &Limits,
        error: &StoreError,
    ) -> Decisions {
        self.report_error(error);
        let is_closed = |policy: &Policy| self.on_error(policy) == OnError::Closed;
        // A denied request is not charged.
        let is_denied = checks.iter().any(|check| is_closed(&check.policy) && !check.policy.is_shadow());
        let is_counted = |policy: &Policy| !is_denied && self.counts_here(policy, error);
        let counted: SmallVec<[MemoryCheck; 2]> = checks
            .iter()
            .zip(limits)
            .filter(|(check, _)| is_counted(&check.policy))
            .map(|(check, limit)| self.local_check(&check.policy, limit))
            .collect();
        let mut verdicts = Verdicts::new();
        if !counted.is_empty() {
            verdicts = self.local().check(self.clock(), &counted);
        }
        let mut verdicts = verdicts.into_iter();
        let decision = |check: OwnedCheck| {
            if !is_counted(&check.policy) {
                let allowed = !is_closed(&check.policy);
                return Decision::uncounted(check, allowed, error.kind());
            }
            match verdicts.next() {
                Some(verdict) => Decision::counted(check, verdict).degrade(error.kind()),
                None => Decision::missing(check),
            }
        };
        checks.into_iter().map(decision).collect()
    }

    /// The check as this process counts it while the store does not, with its share of the quota if it has one.
    pub(super) fn local_check(&self, policy: &Policy, check: &MemoryCheck) -> MemoryCheck {
        let mut local = *check;
        if let Some(servers) = self.on_error(policy).local_parts() {
            let share = local.quota.share(servers);
            // A cost that fits into the quota fits into the share too.
            if local.cost <= local.quota.capacity() {
                local.cost = local.cost.min(share.capacity());
            }
            local.quota = share;
        }
        local
    }

    /// Whether this process counts what the store did not count for this reason. With `Open` it does, unless the store is
    /// known to be down: a store that is slow, full or overloaded opens no limit.
    fn counts_here(&self, policy: &Policy, error: &StoreError) -> bool {
        match self.on_error(policy) {
            OnError::Closed => false,
            OnError::Local | OnError::LocalShare { .. } => true,
            OnError::Open => !error.is_of_outage(),
        }
    }

    /// Whether a peek, reset or refund acts on this process's own count, for the same reason. Errors that an operator has to
    /// fix are returned instead: a foreign value under the key, a forbidden command.
    pub(super) fn acts_here(&self, policy: &Policy, error: &StoreError) -> bool {
        let is_for_operators = matches!(error.kind(), StoreErrorKind::WrongType | StoreErrorKind::Forbidden);
        !is_for_operators && self.counts_here(policy, error)
    }

    pub(super) fn on_error(&self, policy: &Policy) -> OnError {
        policy.get_on_error().unwrap_or(self.0.settings.on_error)
    }
}
