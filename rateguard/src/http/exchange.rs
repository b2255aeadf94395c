//! What the layer and the guards of one request share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Extensions;
use axum::response::Response;

use super::headers;
use super::identity::UserId;
use super::misuse::Misuse;
use super::refund::Refundable;
use crate::decision::Decision;
use crate::denied::OnDenied;
use crate::headers::Headers;
use crate::limiter::{Decisions, RateGuard};

/// Put into the request's extensions by the layer, found there by the guard.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) limiter: RateGuard,
    /// The layer counts by user, and there was none.
    pub(super) lacks_user: bool,
    /// The answer to refusals of the nearest layer that has one.
    on_denied: Option<OnDenied>,
    record: Arc<Record>,
}

/// What was decided for this request.
#[derive(Default)]
struct Record {
    decisions: Mutex<Decisions>,
    refundable: Mutex<Vec<Refundable>>,
}

impl Exchange {
    /// The first layer that a request meets.
    pub(super) fn new(limiter: RateGuard, on_denied: Option<OnDenied>) -> Exchange {
        Exchange { limiter, lacks_user: false, on_denied, record: Arc::default() }
    }

    /// A layer further in: its own limiter, but one record, so that the headers are written once.
    pub(super) fn within(&self, limiter: RateGuard, on_denied: Option<OnDenied>) -> Exchange {
        let on_denied = on_denied.or_else(|| self.on_denied.clone());
        Exchange { limiter, lacks_user: false, on_denied, record: Arc::clone(&self.record) }
    }

    /// Who answers for a refusal, if the program does.
    pub(super) fn on_denied(&self) -> Option<&OnDenied> {
        self.on_denied.as_ref().or(self.limiter.on_denied())
    }

    pub(super) fn record(&self, decisions: impl IntoIterator<Item = Decision>) {
        lock(&self.record.decisions).extend(decisions);
    }

    /// Further in: if there is a user now, it came too late for the layer.
    pub(super) fn met_user(&self, extensions: &Extensions) {
        if self.lacks_user && extensions.get::<UserId>().is_some() {
            Misuse::AuthenticationTooLate.say();
        }
    }

    /// A charge to look at again when the response is there.
    pub(super) fn may_refund(&self, refundable: Refundable) {
        lock(&self.record.refundable).push(refundable);
    }

    /// The request was refused after all, and all of its charges are given back.
    pub(super) fn forget_refunds(&self) {
        lock(&self.record.refundable).clear();
    }

    /// Gives back what this response gives back. `None`, nearly always, if that is nothing.
    pub(super) fn refund(&self, response: &Response) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        let mut due = std::mem::take(&mut *lock(&self.record.refundable));
        due.retain(|refundable| (refundable.when)(response));
        if due.is_empty() {
            return None;
        }
        let record = Arc::clone(&self.record);
        Some(async move {
            for Refundable { charge, .. } in due {
                if charge.give_back().await {
                    let mut decisions = lock(&record.decisions);
                    let charged = |decision: &&mut Decision| {
                        decision.policy() == charge.policy.name() && decision.receipt() == Some(charge.receipt)
                    };
                    if let Some(decision) = decisions.iter_mut().find(charged) {
                        decision.give_back(charge.cost);
                    }
                }
            }
        })
    }

    pub(super) fn write_headers(&self, response: &mut Response, set: Headers) {
        headers::write(response.headers_mut(), set, &lock(&self.record.decisions));
    }
}

/// What is in there is whole at any moment, also after a panic elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
