//! The extractor that the attribute puts in front of a handler's own.

use std::borrow::Cow;
use std::marker::PhantomData;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::response::Response;
use smallvec::SmallVec;

use super::context::Exchange;
use super::extract::{KeySource, by_cookie, by_header, by_ip, by_ip_instead, by_path, by_user, captured, named};
use super::layer::take_head;
use super::limit::{Cost, Rule, Skip};
use super::refund::{Charge, Refundable};
use super::rejection;
pub use super::rejection::RateLimited;
use super::setup_error::Misuse;
use super::upload;
use crate::decision::Decision;
use crate::http::client_ip::ClientIp;
use crate::key::Key;
use crate::key::parts::Kind;
use crate::limiter::{Check, Checking, Decisions, Later};
use crate::telemetry;

/// What a handler is limited by. Implemented by the hidden marker beside it.
pub trait Limits: Send + Sync + 'static {
    /// The handler, as `module::path::function`.
    const HANDLER: &'static str;
    /// Its limits, outermost attribute first. Those without a name of their own have the handler's.
    const RULES: &'static [Rule];
    /// The limits in words, for the readers of an API's documentation.
    const WORDS: &'static str = "";

    /// The limits under their full names.
    fn rules() -> &'static [Rule] {
        Self::RULES
    }
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
    rule: &'static Rule,
    key: SmallVec<[Option<Key>; 2]>,
    /// Who counts where the arguments say that there is no identity.
    fallback: Result<Key, Misuse>,
    cost: Option<u32>,
    skip: Option<bool>,
}

impl<S: Send + Sync, L: Limits> FromRequestParts<S> for Guard<L> {
    // Made at once, since nobody keeps the reason.
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        // What needs no waiting is done outside of this future, which is a part of the handler's and allocated with it:
        // it has room for that alone which outlives the waiting.
        // A denial may take the head along.
        let exchange = parts.extensions.get::<Exchange>().cloned();
        let (later, unsettled) = match Guard::begin(parts) {
            Ok(Begun::Decided(guard)) => return Ok(guard),
            Ok(Begun::Asked(later, unsettled)) => (later, unsettled),
            Err(response) => return Err(denied(exchange.as_ref(), response).await),
        };
        let settled = later.await;
        let Unsettled { exchange, charges, rules } = unsettled;
        let decisions = exchange.settled(settled);
        match settle(exchange.clone(), &charges, rules, decisions, parts) {
            Ok(guard) => Ok(guard),
            Err(response) => Err(denied(Some(&exchange), response).await),
        }
    }
}

/// A denied request spends nothing: the answer, once what layers have charged is given back.
async fn denied(exchange: Option<&Exchange>, response: Response) -> Response {
    if let Some(given_back) = exchange.and_then(Exchange::denied) {
        given_back.await;
    }
    response
}

/// A rule with the key it counts and the units it takes.
type Counted = (&'static Rule, Key, u32);

/// Those of one request.
type Charges = SmallVec<[Counted; 2]>;

/// How far a guard has come without waiting.
enum Begun<L> {
    Decided(Guard<L>),
    Asked(Later, Unsettled),
}

/// What has to be known of a request when its decisions are there.
struct Unsettled {
    exchange: Exchange,
    /// None where nobody will ask.
    charges: Vec<Counted>,
    rules: Vec<Prepared>,
}

impl<L> Guard<L> {
    /// One that decides nothing, for a handler that is called directly.
    pub(super) fn open() -> Guard<L> {
        Guard { waiting: None, limits: PhantomData }
    }
}

impl<L: Limits> Guard<L> {
    #[expect(clippy::result_large_err, reason = "the answer to a refusal, which a box would cost an allocation")]
    fn begin(parts: &mut Parts) -> Result<Begun<L>, Response> {
        let Some(exchange) = parts.extensions.get::<Exchange>().cloned() else {
            return Err(Misuse::LayerMissing { handler: L::HANDLER }.into());
        };
        let needs_path = L::rules().iter().any(|rule| rule.key.needs_path());
        let path = if needs_path { captured(parts)? } else { None };
        exchange.met_user(&parts.extensions);
        let client_ip = exchange.limiter().client_ip();
        let head = Head { parts, path: path.as_ref(), handler: L::HANDLER, client_ip };
        let mut charges = Charges::new();
        let mut rules = Vec::new();
        for (index, rule) in L::rules().iter().enumerate() {
            if rule.is_late() {
                rules.push(head.prepare(index, rule)?);
            } else if head.skip(rule).unwrap_or(false) {
                telemetry::skipped(&rule.policy);
            } else {
                charges.push((rule, head.whole_key(&rule.key)?, head.cost(rule).unwrap_or(1)));
            }
        }
        match begin(&exchange, &charges) {
            Checking::Done(decisions) => settle(exchange, &charges, rules, decisions, parts).map(Begun::Decided),
            Checking::Asked(later) => {
                let of_interest = exchange.on_denied().is_some() || !rules.is_empty() || may_refund(&charges);
                let charges = if of_interest { charges.into_vec() } else { Vec::new() };
                Ok(Begun::Asked(later, Unsettled { exchange, charges, rules }))
            }
        }
    }
}

/// Starts deciding these together.
fn begin(exchange: &Exchange, charges: &Charges) -> Checking {
    fn check((rule, key, cost): &Counted) -> Check<'_> {
        Check::new(&rule.policy, key).cost(*cost)
    }
    match charges.as_slice() {
        [] => Checking::Done(Decisions::new()),
        // One is what most have, and takes no list.
        [charge] => exchange.limiter().begin(&[check(charge)], exchange.left(exchange.limiter())),
        charges => {
            let checks: SmallVec<[_; 2]> = charges.iter().map(check).collect();
            exchange.limiter().begin(&checks, exchange.left(exchange.limiter()))
        }
    }
}

/// Keeps the decisions for the headers, and answers if they refuse: with the head, if the program answers itself.
#[expect(clippy::result_large_err, reason = "the answer to a refusal, which a box would cost an allocation")]
fn settle<L>(
    exchange: Exchange,
    charges: &[Counted],
    rules: Vec<Prepared>,
    decisions: Decisions,
    parts: &mut Parts,
) -> Result<Guard<L>, Response> {
    let cut_off = upload::is_cut_off(&decisions, parts);
    let request = || Some((kinds(charges), take_head(parts)));
    if let Some(mut response) = rejection::answer(&decisions, exchange.on_denied(), request) {
        if cut_off {
            upload::cut_off(&mut response);
        }
        exchange.record(decisions);
        return Err(response);
    }
    let taken = taken(&exchange, charges, &decisions, !rules.is_empty());
    exchange.record(decisions);
    let waiting = (!rules.is_empty()).then(|| {
        let head = exchange.on_denied().map(|_| parts.clone());
        Box::new(Waiting { exchange, rules, taken, head })
    });
    Ok(Guard { waiting, limits: PhantomData })
}

fn kinds(charges: &[Counted]) -> Vec<Cow<'static, str>> {
    charges.iter().map(|(_, key, _)| key.shared_kind()).collect()
}

fn may_refund(charges: &[Counted]) -> bool {
    charges.iter().any(|(rule, ..)| rule.refund_if.is_some())
}

/// Sees to it that responses can give back what was taken, and says what that is, if it is wanted.
fn taken(exchange: &Exchange, charges: &[Counted], decisions: &[Decision], wanted: bool) -> Vec<Charge> {
    let mut taken = Vec::new();
    if !wanted && !may_refund(charges) {
        return taken;
    }
    for ((rule, key, cost), decision) in charges.iter().zip(decisions) {
        let Some(receipt) = decision.receipt() else { continue };
        let charge = || {
            let policy = rule.policy.clone().with_quota(decision.quota());
            Charge {
                limiter: exchange.limiter().clone(),
                policy,
                key: key.clone(),
                cost: *cost,
                receipt,
                here: decision.degraded(),
            }
        };
        if let Some(when) = rule.refund_if {
            exchange.may_refund(Refundable { charge: charge(), when });
        }
        if wanted {
            taken.push(charge());
        }
    }
    taken
}

/// A request's head, and what its route captured.
struct Head<'r> {
    parts: &'r Parts,
    path: Option<&'r RawPathParams>,
    handler: &'static str,
    client_ip: &'r ClientIp,
}

impl Head<'_> {
    fn prepare(&self, index: usize, rule: &'static Rule) -> Result<Prepared, Misuse> {
        let mut key = SmallVec::new();
        self.key_parts(&rule.key, &mut key)?;
        let fallback = by_ip(self.parts, self.client_ip);
        Ok(Prepared { index, rule, key, fallback, cost: self.cost(rule), skip: self.skip(rule) })
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
            let Prepared { index, rule, .. } = prepared;
            let said = match late.iter().position(|late| late.index == index) {
                Some(at) => late.swap_remove(at),
                None => Late::rule(index),
            };
            match prepared.complete(said, exchange.limiter().client_ip())? {
                Some((key, cost)) => charges.push((rule, key, cost)),
                None => telemetry::skipped(&rule.policy),
            }
        }
        let decisions = exchange.settled(begin(&exchange, &charges).settled().await);
        let request = || Some((kinds(&charges), head?));
        let Some(refusal) = RateLimited::answered(&decisions, exchange.on_denied(), request) else {
            self::taken(&exchange, &charges, &decisions, false);
            exchange.record(decisions);
            return Ok(());
        };
        exchange.record(decisions);
        // A refusal by one spends none of the others.
        let given_back: Vec<_> = taken.iter().map(Charge::give_back).collect();
        if let Some(of_layers) = exchange.denied() {
            of_layers.await;
        }
        for given_back in given_back {
            given_back.await;
        }
        Err(refusal)
    }
}
