//! Charges that may be given back.

use axum::response::Response;

use crate::algorithm::Receipt;
use crate::key::Key;
use crate::limiter::RateGuard;
use crate::policy::Policy;

/// A charge that was made.
#[derive(Debug)]
pub(super) struct Charge {
    pub(super) limiter: RateGuard,
    /// With the quota under which it was made.
    pub(super) policy: Policy,
    pub(super) key: Key,
    pub(super) cost: u32,
    /// What the store wants to see.
    pub(super) receipt: Receipt,
}

impl Charge {
    /// Gives it back. If the store cannot be asked, it stays charged: the limit holds all the same.
    pub(super) async fn give_back(&self) -> bool {
        let given = self.limiter.refund_charge(&self.policy, &self.key, self.cost, Some(self.receipt)).await;
        given.inspect_err(|error| self.limiter.warn(error)).is_ok()
    }
}

/// A charge that some responses give back.
#[derive(Debug)]
pub(super) struct Refundable {
    pub(super) charge: Charge,
    pub(super) when: fn(&Response) -> bool,
}
