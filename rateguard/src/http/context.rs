//! What the layer and the guards of one request share.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Extensions;
use axum::response::Response;
use smallvec::SmallVec;

use super::extract::UserId;
use super::quota_fields;
use super::refund::{Charge, GivingBack, Refundable};
use super::setup_error::Misuse;
use crate::decision::Decision;
use crate::http::denied::OnDenied;
use crate::http::headers::Headers;
use crate::key::Key;
use crate::limiter::{Decisions, RateGuard, Settled};
use crate::policy::Policy;

/// Put into the request's extensions by the layer, found there by the guard.
#[derive(Clone)]
pub(super) struct Exchange(Arc<Shared>);

struct Shared {
    limiter: RateGuard,
    /// The layer counts by user, and there was none.
    lacks_user: bool,
    /// The answer to refusals of the nearest layer that has one.
    on_denied: Option<OnDenied>,
    /// What the layer asks for, until it is decided.
    asked: Mutex<Counted>,
    record: Record,
    /// That of the layer which the request met first, if it is another: it has the record then.
    first: Option<Exchange>,
}

/// What was decided for this request.
#[derive(Default)]
struct Record {
    /// How long stores have let the request wait, in microseconds.
    waited: AtomicU64,
    decisions: Mutex<Decisions>,
    refundable: Mutex<Vec<Refundable>>,
    /// What layers have charged: given back if a limit further in denies the request.
    charged: Mutex<SmallVec<[Charge; 1]>>,
}

/// The limits of a layer, and whom they count.
pub(super) type Counted = SmallVec<[(Policy, Key); 1]>;

/// What sorts of keys these are.
pub(super) fn kinds(counted: &Counted) -> Vec<Cow<'static, str>> {
    counted.iter().map(|(_, key)| key.shared_kind()).collect()
}

impl Exchange {
    /// A layer's part in a request that may have met others further out: its own limiter, but their record, so that the
    /// headers are written once. The answer to refusals is its own, or else [theirs](Exchange::on_denied_of_layers).
    pub(super) fn new(
        limiter: RateGuard,
        on_denied: Option<OnDenied>,
        lacks_user: bool,
        outer: Option<&Exchange>,
    ) -> Exchange {
        let first = outer.map(|outer| outer.0.first.as_ref().unwrap_or(outer).clone());
        let (asked, record) = (Mutex::default(), Record::default());
        Exchange(Arc::new(Shared { limiter, lacks_user, on_denied, asked, record, first }))
    }

    pub(super) fn limiter(&self) -> &RateGuard {
        &self.0.limiter
    }

    /// Who answers for a refusal, if the program does.
    pub(super) fn on_denied(&self) -> Option<&OnDenied> {
        self.0.on_denied.as_ref().or(self.0.limiter.on_denied())
    }

    /// Who answers for a refusal by a layer further in that has no answer of its own.
    pub(super) fn on_denied_of_layers(&self) -> Option<&OnDenied> {
        self.0.on_denied.as_ref()
    }

    fn shared_record(&self) -> &Record {
        &self.0.first.as_ref().unwrap_or(self).0.record
    }

    /// How much longer the request may wait for this limiter's store. Only waiting for a store counts: not the
    /// extractors, other middleware or a slow upload.
    pub(super) fn left(&self, limiter: &RateGuard) -> Duration {
        let waited = Duration::from_micros(self.shared_record().waited.load(Ordering::Relaxed));
        limiter.deadline().saturating_sub(waited)
    }

    /// What was decided after asking a store.
    pub(super) fn settled(&self, settled: Settled) -> Decisions {
        let waited = u64::try_from(settled.waited.as_micros()).unwrap_or(u64::MAX);
        self.shared_record().waited.fetch_add(waited, Ordering::Relaxed);
        settled.decisions
    }

    pub(super) fn record(&self, decisions: Decisions) {
        let mut recorded = lock(&self.shared_record().decisions);
        // Nearly always these are the first, and are kept as they are.
        if recorded.is_empty() {
            *recorded = decisions;
        } else {
            recorded.extend(decisions);
        }
    }

    /// What the layer asks for.
    pub(super) fn asks(&self, counted: Counted) {
        *lock(&self.0.asked) = counted;
    }

    /// What sorts of keys the layer asks about.
    pub(super) fn kinds(&self) -> Vec<Cow<'static, str>> {
        kinds(&lock(&self.0.asked))
    }

    /// The layer's limits allow the request: what they charged is given back if one further in denies it.
    pub(super) fn allowed(&self, decisions: Decisions) {
        let counted = std::mem::take(&mut *lock(&self.0.asked));
        {
            let mut charged = lock(&self.shared_record().charged);
            for ((policy, key), decision) in counted.into_iter().zip(&decisions) {
                let Some(receipt) = decision.receipt() else { continue };
                let (limiter, policy) = (self.0.limiter.clone(), policy.with_quota(decision.quota()));
                charged.push(Charge { limiter, policy, key, cost: 1, receipt, here: decision.degraded() });
            }
        }
        self.record(decisions);
    }

    /// The request is denied after layers further out have allowed it: a denied request spends nothing, so all of it is
    /// given back, at once. The future waits until that is done. `None` if nothing was charged.
    pub(super) fn denied(&self) -> Option<GivingBack> {
        let record = self.shared_record();
        // Not twice.
        lock(&record.refundable).clear();
        let charged = std::mem::take(&mut *lock(&record.charged));
        if charged.is_empty() {
            return None;
        }
        Some(Box::pin(self.give_back(charged.into_iter().collect())))
    }

    /// Further in: if there is a user now, it came too late for the layer.
    pub(super) fn met_user(&self, extensions: &Extensions) {
        if self.0.lacks_user && extensions.get::<UserId>().is_some() {
            Misuse::AuthenticationTooLate.say();
        }
    }

    /// A charge to look at again when the response is there.
    pub(super) fn may_refund(&self, refundable: Refundable) {
        lock(&self.shared_record().refundable).push(refundable);
    }

    /// Gives back what this response gives back. `None`, nearly always, if that is nothing.
    pub(super) fn refund(&self, response: &Response) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        let mut due = std::mem::take(&mut *lock(&self.shared_record().refundable));
        due.retain(|refundable| (refundable.when)(response));
        if due.is_empty() {
            return None;
        }
        Some(self.give_back(due.into_iter().map(|Refundable { charge, .. }| charge).collect()))
    }

    /// Gives these back, all of them at once, so that together they wait no longer than one; and has the headers tell so.
    fn give_back(&self, charges: Vec<Charge>) -> impl Future<Output = ()> + Send + 'static + use<> {
        let exchange = self.clone();
        let begun: Vec<_> = charges.into_iter().map(|charge| (charge.give_back(), charge)).collect();
        async move {
            for (given_back, charge) in begun {
                if given_back.await {
                    let mut decisions = lock(&exchange.shared_record().decisions);
                    let is_its_own = |decision: &&mut Decision| {
                        decision.policy() == charge.policy.name() && decision.receipt() == Some(charge.receipt)
                    };
                    if let Some(decision) = decisions.iter_mut().find(is_its_own) {
                        decision.give_back(charge.cost);
                    }
                }
            }
        }
    }

    pub(super) fn write_headers(&self, response: &mut Response, set: Headers) {
        quota_fields::write(response.headers_mut(), set, &lock(&self.shared_record().decisions));
    }
}

/// What is in there is whole at any moment, also after a panic elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
