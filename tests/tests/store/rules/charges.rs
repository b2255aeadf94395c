//! Charges that may be given back.

use super::*;

/// A charge whose receipt was not used yet.
pub(super) struct Charge {
    pub(super) policy: Policy,
    pub(super) decisions: [Decision; 2],
    pub(super) cost: u32,
    /// The model's receipt, and in which life of the key.
    pub(super) receipt: u64,
    pub(super) life: u32,
    pub(super) at: u64,
    /// Too old to count, whatever is asked from now on.
    pub(super) gone: bool,
}

/// The charges of a key that can be given back.
#[derive(Default)]
pub(super) struct Charges {
    pub(super) made: Vec<Charge>,
    pub(super) life: u32,
    /// How long a charge can count, by the windows that were asked in this life.
    pub(super) horizon: u64,
}

impl Charges {
    pub(super) fn add(&mut self, policy: &Policy, told: Told, cost: u32, receipt: u64, at: u64) {
        let (policy, decisions, life) = (policy.clone(), told.decisions, self.life);
        self.made.push(Charge { policy, decisions, cost, receipt, life, at, gone: false });
    }

    pub(super) fn reset(&mut self) {
        self.life += 1;
        self.horizon = 0;
    }

    /// A quota is asked, under which charges may count longer from now on. It does not bring back those that are gone.
    pub(super) fn count_in(&mut self, now: u64, quota: &Quota) {
        for charge in &mut self.made {
            charge.gone |= now - charge.at >= self.horizon;
        }
        let windows = if quota.algorithm() == Algorithm::SlidingCounter { 2 } else { 1 };
        self.horizon = self.horizon.max(windows * micros(quota.window()));
    }

    /// Returns how many units can come back at most.
    pub(super) async fn give_back(
        &mut self,
        both: &Both,
        model: &mut Model,
        now: u64,
        which: usize,
        percent: u32,
    ) -> u32 {
        // The last one most often.
        let Some(at) = self.made.len().checked_sub(1 + which) else { return 0 };
        let charge = self.made.remove(at);
        // More than was charged is not there to be given back, but of other charges of that microsecond.
        let cost = (u64::from(charge.cost) * u64::from(percent)).div_ceil(100).min(charge.cost.into());
        let cost = u32::try_from(cost).unwrap();
        both.give_back(&charge, cost).await;
        if charge.life != self.life {
            return 0;
        }
        // Of a bucket, what was charged before one that is given back out of order may not all come back.
        if !model.is_last(charge.receipt) {
            self.made.drain(..at);
        }
        model.refund(now, &charge.policy.quota(), cost.into(), Some(charge.receipt));
        if charge.gone || now - charge.at >= self.horizon { 0 } else { cost }
    }
}
