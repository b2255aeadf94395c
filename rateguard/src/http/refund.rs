//! Charges that may be given back.

use std::pin::Pin;

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
    /// Whether this process has counted it in the store's place.
    pub(super) here: bool,
}

impl Charge {
    /// Gives it back. If the store cannot be asked, it stays charged: the limit holds all the same.
    ///
    /// Begun at once; the future waits until it is done.
    pub(super) fn give_back(&self) -> impl Future<Output = bool> + Send + use<> {
        let given = self.limiter.give_back(&self.policy, &self.key, self.cost, Some(self.receipt), self.here);
        let limiter = self.limiter.clone();
        async move { given.await.inspect_err(|error| limiter.warn(error)).is_ok() }
    }
}

/// Charges that are being given back.
pub(super) type GivingBack = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A charge that some responses give back.
#[derive(Debug)]
pub(super) struct Refundable {
    pub(super) charge: Charge,
    pub(super) when: fn(&Response) -> bool,
}
