//! The extractor that the attribute puts in front of a handler's own.

use std::marker::PhantomData;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use smallvec::SmallVec;

use super::exchange::Exchange;
use super::identity::{KeySource, by_cookie, by_header, by_ip, by_ip_instead, by_path, by_user, captured, named};
use super::misuse::Misuse;
use super::refund::{Charge, Refundable};
pub use super::rejection::RateLimited;
use super::rule::{Cost, Rule, Skip};
use crate::client_ip::ClientIp;
use crate::key::Key;
use crate::key_parts::Kind;
use crate::limiter::{Check, Checking, Decisions};
use crate::telemetry;

/// What a handler is limited by. Implemented by the hidden marker beside it.
pub trait Limits: Send + Sync + 'static {
    /// The handler, as `module::path::function`.
    const HANDLER: &'static str;
    /// Its limits, outermost attribute first.
    const RULES: &'static [Rule];
}

/// Decides a handler's limits: those that the request's head says enough about when it is extracted, the others when
/// it is [settled](Guard::settle).
#[derive(Debug)]
pub struct Guard<L> {
    // Only if there is something left to settle.
    waiting: Option<Box<Waiting>>,
    limits: PhantomData<fn() -> L>,
}

/// The limits that wait for the handler's arguments.
struct Waiting {
    exchange: Exchange,
    rules: Vec<Prepared>,
    /// What was taken before: given back if one that waits refuses.
    taken: Vec<Charge>,
    /// For the program's own answer to a refusal, if there is one.
    head: Option<Parts>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

/// What the head said about a limit; `None` is for the arguments to say.
struct Prepared {
    index: usize,
    key: SmallVec<[Option<Key>; 2]>,
    /// Who counts where the arguments say that there is no identity.
    fallback: Result<Key, Misuse>,
    cost: Option<u32>,
    skip: Option<bool>,
}

impl<S: Send + Sync, L: Limits> FromRequestParts<S> for Guard<L> {
    type Rejection = RateLimited;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, RateLimited> {
        let path = L::RULES.iter().any(|rule| rule.key.needs_path()).then(|| captured(parts)).flatten();
        let Some(exchange) = parts.extensions.get::<Exchange>().cloned() else {
            return Err(Misuse::LayerMissing { handler: L::HANDLER }.into());
        };
        exchange.met_user(&parts.extensions);
        let client_ip = exchange.limiter().client_ip();
        let head = Head { parts, path: path.as_ref(), handler: L::HANDLER, client_ip };
        let mut charges = Charges::new();
        // Most have none, so there is no room for them in the future of every request.
        let mut rules = Vec::new();
        for (index, rule) in L::RULES.iter().enumerate() {
            if rule.is_late() {
                rules.push(head.prepare(index, rule)?);
            } else if head.skip(rule).unwrap_or(false) {
                telemetry::skipped(&rule.policy);
            } else {
                charges.push((rule, head.whole_key(&rule.key)?, head.cost(rule).unwrap_or(1)));
            }
        }
        let decisions = match begin(&exchange, &charges) {
            Checking::Done(decisions) => decisions,
            Checking::Asked(later) => later.await,
        };
        let taken = settle(&exchange, charges, decisions, !rules.is_empty(), || Some(parts.clone()))?;
        let waiting = (!rules.is_empty()).then(|| {
            let head = exchange.on_denied().map(|_| parts.clone());
            Box::new(Waiting { exchange, rules, taken, head })
        });
        Ok(Guard { waiting, limits: PhantomData })
    }
}

/// Rules with the keys they count and the units they take.
type Charges = SmallVec<[(&'static Rule, Key, u32); 2]>;

/// Starts deciding these together.
fn begin(exchange: &Exchange, charges: &Charges) -> Checking {
    if charges.is_empty() {
        return Checking::Done(Decisions::new());
    }
    let checks: SmallVec<[Check<'_>; 2]> =
        charges.iter().map(|(rule, key, cost)| Check::new(&rule.policy, key).cost(*cost)).collect();
    exchange.limiter().begin(&checks)
}

/// Keeps the decisions for the headers, and says what was taken, if that is wanted. The head is wanted if the program
/// answers for refusals itself.
fn settle(
    exchange: &Exchange,
    charges: Charges,
    decisions: Decisions,
    wanted: bool,
    head: impl FnOnce() -> Option<Parts>,
) -> Result<Vec<Charge>, RateLimited> {
    let mut taken = Vec::new();
    let kinds = || charges.iter().map(|(_, key, _)| key.shared_kind());
    let refusal = RateLimited::answered(&decisions, exchange.on_denied(), || Some((kinds(), head()?)));
    if refusal.is_none() && (wanted || charges.iter().any(|(rule, ..)| rule.refund_if.is_some())) {
        for ((rule, key, cost), decision) in charges.into_iter().zip(&decisions) {
            let Some(receipt) = decision.receipt() else { continue };
            let charge = |key| {
                let policy = rule.policy.clone().with_quota(decision.quota());
                Charge { limiter: exchange.limiter().clone(), policy, key, cost, receipt }
            };
            if let Some(when) = rule.refund_if {
                exchange.may_refund(Refundable { charge: charge(key.clone()), when });
            }
            if wanted {
                taken.push(charge(key));
            }
        }
    }
    exchange.record(decisions);
    refusal.map_or(Ok(taken), Err)
}

/// A request's head, and what its route captured.
struct Head<'r> {
    parts: &'r Parts,
    path: Option<&'r RawPathParams>,
    handler: &'static str,
    client_ip: &'r ClientIp,
}

impl Head<'_> {
    fn prepare(&self, index: usize, rule: &Rule) -> Result<Prepared, Misuse> {
        let mut key = SmallVec::new();
        self.key_parts(&rule.key, &mut key)?;
        let fallback = by_ip(self.parts, self.client_ip);
        Ok(Prepared { index, key, fallback, cost: self.cost(rule), skip: self.skip(rule) })
    }

    /// `None` where the arguments will say.
    fn key_parts(&self, source: &KeySource, out: &mut SmallVec<[Option<Key>; 2]>) -> Result<(), Misuse> {
        match source {
            KeySource::Late => out.push(None),
            KeySource::Composite(sources) => {
                for source in *sources {
                    self.key_parts(source, out)?;
                }
            }
            source => out.push(Some(self.whole_key(source)?)),
        }
        Ok(())
    }

    fn whole_key(&self, source: &KeySource) -> Result<Key, Misuse> {
        let found = match source {
            KeySource::Ip | KeySource::Late => return by_ip(self.parts, self.client_ip),
            KeySource::Global => Some(Key::global()),
            KeySource::User => by_user(self.parts),
            KeySource::Header(kind) => by_header(self.parts, named(kind), Kind::Known(kind)),
            KeySource::Cookie(kind) => by_cookie(self.parts, Kind::Known(kind)),
            KeySource::Path(kind) => Some(by_path(self.path, self.handler, Kind::Known(kind))?),
            KeySource::Head(find) => find(self.parts),
            KeySource::Composite(sources) => {
                let keys = sources.iter().map(|source| self.whole_key(source)).collect::<Result<Vec<_>, _>>()?;
                Some(Key::composite(keys))
            }
        };
        found.map_or_else(|| by_ip_instead(self.parts, self.client_ip), Ok)
    }

    fn cost(&self, rule: &Rule) -> Option<u32> {
        match rule.cost {
            Cost::Fixed(cost) => Some(cost),
            Cost::Head(cost) => Some(cost(self.parts)),
            Cost::Late => None,
        }
    }

    fn skip(&self, rule: &Rule) -> Option<bool> {
        match rule.skip {
            Skip::Never => Some(false),
            Skip::Head(skip) => Some(skip(self.parts)),
            Skip::Late => None,
        }
    }
}

/// What the handler's arguments said about one of its rules.
#[derive(Debug)]
pub struct Late {
    index: usize,
    keys: SmallVec<[Option<Key>; 2]>,
    cost: Option<u32>,
    skip: Option<bool>,
}

impl Late {
    /// About the rule at this place in [`Limits::RULES`].
    pub fn rule(index: usize) -> Late {
        Late { index, keys: SmallVec::new(), cost: None, skip: None }
    }

    /// The next part of its key that was open.
    pub fn key(mut self, key: Option<Key>) -> Late {
        self.keys.push(key);
        self
    }

    /// What it takes.
    pub fn cost(mut self, cost: u32) -> Late {
        self.cost = Some(cost);
        self
    }

    /// Whether it passes uncounted.
    pub fn skip(mut self, skip: bool) -> Late {
        self.skip = Some(skip);
        self
    }
}

impl Prepared {
    /// The key and the cost, or `None` if the request passes this limit uncounted.
    fn complete(self, late: Late, client_ip: &ClientIp) -> Result<Option<(Key, u32)>, Misuse> {
        if late.skip.or(self.skip).unwrap_or(false) {
            return Ok(None);
        }
        let mut said = late.keys.into_iter();
        let instead = || {
            client_ip.identity_missing();
            self.fallback.clone()
        };
        let parts = self.key.into_iter().map(|known| known.or_else(|| said.next().flatten()).map_or_else(instead, Ok));
        let key = Key::composite(parts.collect::<Result<Vec<_>, _>>()?);
        Ok(Some((key, late.cost.or(self.cost).unwrap_or(1))))
    }
}

impl<L: Limits> Guard<L> {
    /// Decides the rules that waited for the handler's arguments.
    ///
    /// # Errors
    ///
    /// The answer to send when one of them refuses.
    pub async fn settle<const N: usize>(self, late: [Late; N]) -> Result<(), RateLimited> {
        let Some(waiting) = self.waiting else {
            return Ok(());
        };
        let Waiting { exchange, rules, taken, head } = *waiting;
        let mut late = SmallVec::<[Late; 2]>::from_iter(late);
        let mut charges = Charges::new();
        for prepared in rules {
            let index = prepared.index;
            let said = match late.iter().position(|late| late.index == index) {
                Some(at) => late.swap_remove(at),
                None => Late::rule(index),
            };
            let Some(rule) = L::RULES.get(index) else { continue };
            match prepared.complete(said, exchange.limiter().client_ip())? {
                Some((key, cost)) => charges.push((rule, key, cost)),
                None => telemetry::skipped(&rule.policy),
            }
        }
        let decisions = begin(&exchange, &charges).decisions().await;
        let Err(refusal) = self::settle(&exchange, charges, decisions, false, || head) else { return Ok(()) };
        // A refusal by one spends none of the others.
        exchange.forget_refunds();
        for charge in taken {
            charge.give_back().await;
        }
        Err(refusal)
    }
}
