//! From the store's answer, or without one, to decisions.

use smallvec::SmallVec;

use super::deny_cache::Limits;
use super::group::{Places, decide, spread};
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
    /// The checks as this process counts them, and as it remembers refusals.
    pub(super) limits: Limits,
    /// When the store was asked.
    pub(super) asked: u64,
    pub(super) places: Option<Places>,
}

impl Pending {
    pub(super) fn settle(&self, limiter: &RateGuard, answer: Result<Verdicts, StoreError>) -> Decisions {
        let answer = match answer {
            Ok(verdicts) if verdicts.len() != self.policies.len() => {
                Err(StoreError::other("the store answered another request"))
            }
            answer => answer,
        };
        let decisions = match answer {
            Ok(verdicts) => {
                limiter.remember(&self.limits, self.asked, &verdicts);
                decide(self.policies.iter(), verdicts)
            }
            Err(error) => self.without_store(limiter, &error),
        };
        spread(decisions, self.places.as_ref())
    }

    /// The failure policies answer. A slow moment is no outage: unless the store is known to be away, what it did not
    /// count is counted in this process, also where the policy is to allow it then.
    fn without_store(&self, limiter: &RateGuard, error: &StoreError) -> Decisions {
        limiter.warn(error);
        let reason = error.kind();
        let is_closed = |policy: &Policy| limiter.on_error(policy) == OnError::Closed;
        // A request that is denied spends nothing.
        let is_denied = self.policies.iter().any(|policy| is_closed(policy) && !policy.is_shadow());
        let is_counted = |policy: &Policy| !is_denied && limiter.counts_here(policy, error);
        let counted: SmallVec<[MemoryCheck; 2]> = self
            .policies
            .iter()
            .zip(&self.limits)
            .filter(|(policy, _)| is_counted(policy))
            .map(|(policy, limit)| limiter.local_check(policy, limit))
            .collect();
        let mut verdicts = Verdicts::new();
        if !counted.is_empty() {
            verdicts = limiter.local().check(&limiter.inner.settings.clock, &counted);
        }
        let mut verdicts = verdicts.into_iter();
        self.policies
            .iter()
            .map(|policy| {
                if !is_counted(policy) {
                    return Decision::uncounted(policy, policy.quota(), !is_closed(policy), reason);
                }
                match verdicts.next() {
                    Some(verdict) => Decision::counted(policy, policy.quota(), verdict).degrade(reason),
                    None => Decision::missing(policy),
                }
            })
            .collect()
    }
}
