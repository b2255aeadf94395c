//! What layers and guards share in a request: the limiter, and what was decided so far.

use std::borrow::Cow;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Extensions;
use axum::response::Response;
use smallvec::SmallVec;

use super::headers::Headers;
use super::limit::{HttpLimit, RefundIf};
use super::quota_fields;
use super::rejection::{DeniedByHandler, OnDenied};
use super::setup_error::SetupError;
use super::user_id::UserId;
use crate::decision::{Check, Decision};
use crate::key::Key;
use crate::limiter;
use crate::limiter::{Checking, Settled};
use crate::policy::Policy;
use crate::quota::Quota;
use crate::rate_guard::RateGuard;

/// Put into the request's extensions by the layer, found there by the guard.
#[derive(Clone)]
pub(super) struct Context(Arc<Shared>);

struct Shared {
    limiter: RateGuard,
    /// The layer counts by user, and there was none.
    lacks_user: bool,
    /// The answer to denials of the nearest layer that has one.
    on_denied: Option<OnDenied>,
    record: Record,
    /// The context of the outermost layer, if this is not it: its record is the request's.
    outermost: Option<Context>,
}

/// What was decided for a request.
#[derive(Default)]
struct Record {
    /// How long stores have let the request wait, in microseconds.
    waited: AtomicU64,
    counted: Mutex<AllCounted>,
}

#[derive(Default)]
struct AllCounted {
    list: SmallVec<[Counted; 2]>,
    /// The response is there. A handler's task may go on checking for as long as its connection lasts.
    has_ended: bool,
}

/// One decision, and what it takes to give its charge back.
struct Counted {
    decision: Decision,
    limiter: RateGuard,
    refund_if: Option<RefundIf>,
}

/// One of the limits that count a request, with all that is asked of it.
pub(super) struct Ask<'l> {
    pub(super) limit: &'l HttpLimit,
    /// With the quota for this request.
    pub(super) policy: Cow<'l, Policy>,
    pub(super) key: Key,
    pub(super) cost: u32,
}

impl<'l> Ask<'l> {
    /// `quota` is that of the request, where it has one.
    pub(super) fn new(limit: &'l HttpLimit, quota: Option<Quota>, key: Key, cost: u32) -> Ask<'l> {
        let policy = match quota {
            None => Cow::Borrowed(&limit.policy),
            Some(quota) => Cow::Owned(limit.policy.clone().with_quota(quota)),
        };
        Ask { limit, policy, key, cost }
    }

    pub(super) fn check(&self) -> Check<'_> {
        Check::new(&self.policy, &self.key).cost(self.cost)
    }
}

/// Those that are decided together.
pub(super) type Asked<'l> = SmallVec<[Ask<'l>; 2]>;

/// Which responses give charges back: in the order of the limits, or empty if none does.
pub(super) type Refunds = SmallVec<[Option<RefundIf>; 2]>;

/// Charges that are being given back.
pub(super) type GivingBack = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All decisions on one request, in the extensions of its response, for middleware outside of the layer.
///
/// ```
/// # let response = axum::response::Response::new(axum::body::Body::empty());
/// if let Some(decisions) = response.extensions().get::<rateguard::Decisions>() {
///     for decision in decisions.iter() {
///         println!("{}: {} left", decision.policy(), decision.remaining());
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Decisions(limiter::Decisions);

impl Deref for Decisions {
    type Target = [Decision];

    fn deref(&self) -> &[Decision] {
        &self.0
    }
}

/// Starts deciding these together; a remote store is waited for as long as is `left`.
pub(super) fn begin(limiter: &RateGuard, asked: &Asked<'_>, left: Duration) -> (Checking, Refunds) {
    let refunds = if asked.iter().any(|ask| ask.limit.refund_if.is_some()) {
        asked.iter().map(|ask| ask.limit.refund_if.clone()).collect()
    } else {
        Refunds::new()
    };
    let checking = match asked.as_slice() {
        [] => Checking::Done(limiter::Decisions::new()),
        // One is what most have, and takes no list.
        [only] => limiter.limiter().begin(&[only.check()], left),
        several => {
            let checks: SmallVec<[Check<'_>; 2]> = several.iter().map(Ask::check).collect();
            limiter.limiter().begin(&checks, left)
        }
    };
    (checking, refunds)
}

impl Context {
    /// The context of a layer. An inner layer has its own limiter, but uses the record of the outer layers, so that the
    /// headers are written once. Its answer to denials is its own, or else [theirs](Context::on_denied_of_layers).
    pub(super) fn new(
        limiter: RateGuard,
        on_denied: Option<OnDenied>,
        lacks_user: bool,
        outer: Option<&Context>,
    ) -> Context {
        let outermost = outer.map(|outer| outer.0.outermost.as_ref().unwrap_or(outer).clone());
        Context(Arc::new(Shared { limiter, lacks_user, on_denied, record: Record::default(), outermost }))
    }

    pub(super) fn limiter(&self) -> &RateGuard {
        &self.0.limiter
    }

    /// The program's own answer to denials, if it has one.
    pub(super) fn on_denied(&self) -> Option<&OnDenied> {
        self.0.on_denied.as_ref().or(self.0.limiter.http().on_denied.as_ref())
    }

    /// The answer to denials by a layer further in that has none of its own.
    pub(super) fn on_denied_of_layers(&self) -> Option<&OnDenied> {
        self.0.on_denied.as_ref()
    }

    fn shared_record(&self) -> &Record {
        &self.0.outermost.as_ref().unwrap_or(self).0.record
    }

    /// How much longer the request may wait for this limiter's store. Only waiting for a store counts: not the
    /// extractors, other middleware or a slow upload.
    pub(super) fn left(&self, limiter: &RateGuard) -> Duration {
        let waited = Duration::from_micros(self.shared_record().waited.load(Ordering::Relaxed));
        limiter.limiter().deadline().saturating_sub(waited)
    }

    /// The decisions, once the time that they took is counted.
    pub(super) fn settled(&self, settled: Settled) -> limiter::Decisions {
        let record = self.shared_record();
        if !lock(&record.counted).has_ended {
            let waited = u64::try_from(settled.waited.as_micros()).unwrap_or(u64::MAX);
            record.waited.fetch_add(waited, Ordering::Relaxed);
        }
        settled.decisions
    }

    /// Keeps decisions for the headers, and for giving their charges back.
    pub(super) fn record(&self, decisions: limiter::Decisions, refunds: Refunds) {
        let mut refunds = refunds.into_iter();
        let counted = decisions.into_iter().map(|decision| {
            let refund_if = refunds.next().flatten();
            Counted { decision, limiter: self.0.limiter.clone(), refund_if }
        });
        let mut earlier = lock(&self.shared_record().counted);
        if !earlier.has_ended {
            earlier.list.extend(counted);
        }
    }

    /// Gives back all that the request has charged, in one batch, since a denied request spends nothing. `None` if nothing
    /// was charged.
    pub(super) fn denied(&self) -> Option<GivingBack> {
        self.give_back(|_| true)
    }

    /// Gives back what this response gives back: all, if it is a denial by the handler. `None`, nearly always, if that is
    /// nothing.
    pub(super) fn responded(&self, response: &Response) -> Option<GivingBack> {
        if response.extensions().get::<DeniedByHandler>().is_some() {
            return self.denied();
        }
        self.give_back(|counted| counted.refund_if.take().is_some_and(|RefundIf(refund_if)| refund_if.call(response)))
    }

    /// Gives charges back, all at once, so that together they wait no longer than one, and corrects the headers. If the
    /// store does not answer, a charge stays: the limit still holds.
    fn give_back(&self, is_due: impl Fn(&mut Counted) -> bool) -> Option<GivingBack> {
        let mut begun: SmallVec<[_; 1]> = SmallVec::new();
        for (at, counted) in lock(&self.shared_record().counted).list.iter_mut().enumerate() {
            if counted.decision.receipt().is_none() || !is_due(counted) {
                continue;
            }
            // The handler may have given it back already.
            let Some(receipt) = counted.decision.take_receipt() else { continue };
            let (check, here) = (counted.decision.check().as_check(), counted.decision.is_counted_here());
            let limiter = counted.limiter.limiter().clone();
            begun.push((at, limiter.give_back(&check, Some(receipt), here), limiter));
        }
        if begun.is_empty() {
            return None;
        }
        let context = self.clone();
        Some(Box::pin(async move {
            for (at, given_back, limiter) in begun {
                match given_back.await {
                    Err(error) => limiter.report_error(&error),
                    Ok(()) => {
                        if let Some(counted) = lock(&context.shared_record().counted).list.get_mut(at) {
                            counted.decision.given_back();
                        }
                    }
                }
            }
        }))
    }

    /// Called further in: a user that exists now was inserted too late for the layer.
    pub(super) fn met_user(&self, extensions: &Extensions) {
        if self.0.lacks_user && extensions.get::<UserId>().is_some() {
            SetupError::authentication_too_late().log();
        }
    }

    /// Once the response is there, nothing is given back any more: the decisions go with it. Further checks are not kept, and
    /// each has the whole deadline.
    pub(super) fn finish(&self, response: &mut Response, set: Headers) {
        let record = self.shared_record();
        let mut counted = lock(&record.counted);
        counted.has_ended = true;
        record.waited.store(0, Ordering::Relaxed);
        finish(response, set, counted.list.drain(..).map(|counted| counted.decision));
    }
}

/// Writes the headers, and leaves the decisions for middleware outside.
pub(super) fn finish(response: &mut Response, set: Headers, decisions: impl ExactSizeIterator<Item = Decision>) {
    if decisions.len() > 0 {
        let decisions: limiter::Decisions = decisions.collect();
        quota_fields::write(response.headers_mut(), set, decisions.iter());
        response.extensions_mut().insert(Decisions(decisions));
    }
}

/// The record is consistent at any moment, also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy::new("messages", Quota::per_minute(1000));

    #[tokio::test]
    async fn after_the_response_checks_are_not_kept_and_have_the_whole_deadline() {
        let limiter = RateGuard::memory();
        let context = Context::new(limiter.clone(), None, false, None);
        let check = async || {
            let decisions = limiter.limiter().check_all(&[Check::new(&POLICY, &Key::global())]).await;
            let decisions = context.settled(Settled { decisions, waited: Duration::from_millis(30) });
            context.record(decisions, Refunds::new());
        };
        check().await;
        assert!(context.left(&limiter) < limiter.limiter().deadline());
        let mut response = Response::default();
        context.finish(&mut response, Headers::default());
        assert_eq!(response.extensions().get::<Decisions>().unwrap().len(), 1);
        for _ in 0..100 {
            check().await;
        }
        assert_eq!(lock(&context.0.record.counted).list.len(), 0);
        assert_eq!(context.left(&limiter), limiter.limiter().deadline());
    }
}
