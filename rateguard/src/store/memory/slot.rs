//! What a shard holds for one key.

use super::count::Count;
use super::fingerprint::{Fingerprint, MemoryCheck};
use crate::algorithm::{Assessment, Receipt, State};

/// The count of one key.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) fingerprint: u128,
    pub(super) policy: u32,
    state: State,
    /// When the count ends.
    pub(super) idle_from: u64,
}

impl Slot {
    pub(super) fn new(client: Fingerprint, state: State) -> Slot {
        let idle_from = state.idle_from();
        Slot { fingerprint: client.hash, policy: client.policy, state, idle_from }
    }

    pub(super) fn client(&self) -> Fingerprint {
        Fingerprint { hash: self.fingerprint, policy: self.policy }
    }

    /// The count, for the sketch.
    pub(super) fn count(&self) -> Count {
        Count::of(&self.state, self.idle_from)
    }

    pub(super) fn peek(&self, now: u64, check: &MemoryCheck) -> Assessment {
        self.state.peek(now, &check.quota, check.cost)
    }

    pub(super) fn refund(&mut self, now: u64, check: &MemoryCheck, receipt: Option<Receipt>) {
        self.state.refund(now, &check.quota, check.cost, receipt);
        self.idle_from = self.state.idle_from();
    }

    /// Assesses a check, and charges it if it fits.
    #[inline]
    pub(super) fn check(&mut self, now: u64, check: &MemoryCheck) -> (Assessment, Option<Receipt>) {
        let assessment = self.state.assess(now, &check.quota, check.cost);
        let receipt = if assessment.allowed { self.state.charge(now, &check.quota, check.cost) } else { None };
        self.idle_from = self.state.idle_from();
        (assessment, receipt)
    }

    /// Assessing a check also corrects the state after the clock stepped back, so it may end sooner.
    pub(super) fn assess(&mut self, now: u64, check: &MemoryCheck) -> Assessment {
        let assessment = self.state.assess(now, &check.quota, check.cost);
        self.idle_from = self.state.idle_from();
        assessment
    }

    pub(super) fn charge(&mut self, now: u64, check: &MemoryCheck) -> Option<Receipt> {
        let receipt = self.state.charge(now, &check.quota, check.cost);
        self.idle_from = self.state.idle_from();
        receipt
    }
}
