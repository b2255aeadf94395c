//! Checks that are decided together. Those that share a count are merged into one check.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Decisions, Limiter};
use crate::algorithm::Verdict;
use crate::decision::{Check, Decision, OwnedCheck};
use crate::key::Key;
use crate::policy::Policy;

/// For each check, which decision is its own. Only if checks were merged.
pub(super) type Places = Vec<Place>;

/// The place of one check's decision.
#[derive(Debug)]
pub(super) struct Place {
    /// `None`: its quota allows nothing, so that it is not among the decisions.
    at: Option<usize>,
    check: OwnedCheck,
}

impl Place {
    /// That of a check which allows nothing.
    pub(super) fn nothing(check: OwnedCheck) -> Place {
        Place { at: None, check }
    }

    /// That of a check which was merged with no other.
    pub(super) fn own(at: usize, check: OwnedCheck) -> Place {
        Place { at: Some(at), check }
    }
}

/// One check instead of all checks that share a count.
pub(super) struct Merged<'c> {
    policy: Cow<'c, Policy>,
    key: &'c Key,
    cost: u32,
}

impl<'c> Merged<'c> {
    /// A check that shares its count with no other.
    pub(super) fn alone(check: &Check<'c>) -> Merged<'c> {
        Merged { policy: Cow::Borrowed(check.policy), key: check.key, cost: check.cost }
    }

    pub(super) fn check(&self) -> Check<'_> {
        Check::new(&self.policy, self.key).cost(self.cost)
    }
}

/// Checks of which no two share a count.
pub(super) fn unmerged<'c>(checks: &[Check<'c>]) -> (SmallVec<[Merged<'c>; 2]>, Places) {
    let places = checks.iter().enumerate().map(|(at, check)| Place::own(at, check.owned()));
    (checks.iter().map(Merged::alone).collect(), places.collect())
}

/// A decision for each check.
pub(super) fn decide(
    checks: impl Iterator<Item = OwnedCheck>,
    verdicts: impl IntoIterator<Item = Verdict>,
) -> Decisions {
    let mut verdicts = verdicts.into_iter();
    checks
        .map(|check| match verdicts.next() {
            Some(verdict) => Decision::counted(check, verdict),
            None => Decision::missing(check),
        })
        .collect()
}

/// A decision for each of the checks that were merged.
pub(super) fn spread(decisions: Decisions, places: Option<Places>) -> Decisions {
    let Some(places) = places else { return decisions };
    let decision = |Place { at, check }: Place| match at.map(|at| decisions.get(at)) {
        Some(Some(decision)) => decision.shared_with(check),
        Some(None) => Decision::missing(check),
        None => Decision::nothing(check),
    };
    places.into_iter().map(decision).collect()
}

impl Limiter {
    /// Merges checks that share a count into one check of their total cost. `None` if no checks share a count, as is nearly
    /// always so.
    pub(super) fn merge<'c>(&self, checks: &[Check<'c>]) -> Option<(SmallVec<[Merged<'c>; 2]>, Places)> {
        if checks.len() < 2 {
            return None;
        }
        let share = |a: &Merged<'_>, b: &Check<'_>| {
            a.policy.name() == b.policy.name()
                && a.policy.quota().algorithm() == b.policy.quota().algorithm()
                && self.localize(a.key) == self.localize(b.key)
        };
        let mut merged: SmallVec<[Merged<'c>; 2]> = SmallVec::new();
        let mut at: SmallVec<[usize; 4]> = SmallVec::new();
        for check in checks {
            let place = merged.iter().position(|earlier| share(earlier, check)).unwrap_or(merged.len());
            at.push(place);
            match merged.get_mut(place) {
                Some(earlier) => {
                    earlier.cost = earlier.cost.saturating_add(check.cost);
                    earlier.policy = Cow::Owned(self.stricter(&earlier.policy, check.policy));
                }
                None => merged.push(Merged::alone(check)),
            }
        }
        if merged.len() == checks.len() {
            return None;
        }
        Some((merged, checks.iter().zip(at).map(|(check, at)| Place::own(at, check.owned())).collect()))
    }

    /// A policy that denies whatever either of two policies with one count denies. A policy in shadow mode denies nothing, so
    /// an enforcing policy replaces it.
    fn stricter(&self, one: &Policy, other: &Policy) -> Policy {
        match (one.is_shadow(), other.is_shadow()) {
            (true, false) => return other.clone(),
            (false, true) => return one.clone(),
            _ => {}
        }
        let stricter = one.clone().with_quota(one.quota().tighter(other.quota()));
        if self.on_error(other).strictness() > self.on_error(one).strictness() {
            return stricter.on_error(self.on_error(other));
        }
        stricter
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::time::Duration;

    use super::*;
    use crate::quota::Quota;

    const ONE: Policy = Policy::new("one", Quota::sliding_window(1, Duration::from_secs(60)));

    fn check() -> OwnedCheck {
        Check::new(&ONE, &Key::global()).owned()
    }

    /// Debug builds panic instead.
    fn is_denied(decisions: impl FnOnce() -> Decisions + std::panic::UnwindSafe) -> bool {
        match catch_unwind(decisions) {
            Ok(decisions) => !cfg!(debug_assertions) && matches!(&decisions[..], [only] if !only.allowed()),
            Err(_) => cfg!(debug_assertions),
        }
    }

    #[test]
    fn a_check_without_an_answer_is_denied() {
        assert!(is_denied(|| decide([check()].into_iter(), [])));
        assert!(is_denied(|| spread(Decisions::new(), Some(vec![Place::own(0, check())]))));
    }
}
