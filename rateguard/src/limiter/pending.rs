//! From the store's answer, or without one, to decisions.

use smallvec::SmallVec;

use super::group::{Places, spread};
use super::spent::Limits;
use super::{Decisions, RateGuard};
use crate::decision::Decision;
use crate::error::StoreError;
use crate::policy::{OnError, Policy};
use crate::store::Verdicts;
use crate::store::memory::MemoryCheck;

/// What is needed to make decisions of the store's answer, or without one.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(super) policies: SmallVec<[Policy; 2]>,
    /// The checks as the local store knows them, if a policy wants that.
    pub(super) local: Option<Box<[MemoryCheck]>>,
    pub(super) places: Option<Places>,
    /// The limits as refusals are remembered by, and when the store was asked, if they are.
    pub(super) limits: Option<(Limits, u64)>,
}

impl Pending {
    pub(super) fn settle(self, limiter: &RateGuard, answer: Result<Verdicts, StoreError>) -> Decisions {
        let answer = match answer {
            Ok(verdicts) if verdicts.len() != self.policies.len() => {
                Err(StoreError::other("the store answered another request"))
            }
            answer => answer,
        };
        let decisions = match answer {
            Ok(verdicts) => {
                if let Some((limits, asked)) = &self.limits {
                    limiter.remember(limits, *asked, &verdicts);
                }
                let decision = |(policy, verdict): (&Policy, _)| Decision::counted(policy, policy.quota(), verdict);
                self.policies.iter().zip(verdicts).map(decision).collect()
            }
            Err(error) => self.without_store(limiter, &error),
        };
        spread(decisions, self.places.as_ref())
    }

    fn without_store(&self, limiter: &RateGuard, error: &StoreError) -> Decisions {
        limiter.warn(error);
        let reason = error.kind();
        let counted = self.local.as_ref().map(|checks| limiter.local().check(&limiter.inner.settings.clock, checks));
        let verdict = |at: usize| counted.as_ref().and_then(|verdicts| verdicts.get(at)).copied();
        self.policies
            .iter()
            .enumerate()
            .map(|(at, policy)| match (limiter.on_error(policy), verdict(at)) {
                (OnError::Local | OnError::LocalShare { .. }, Some(verdict)) => {
                    Decision::counted(policy, policy.quota(), verdict).degrade(reason)
                }
                (on_error, _) => Decision::uncounted(policy, policy.quota(), on_error != OnError::Closed, reason),
            })
            .collect()
    }
}
