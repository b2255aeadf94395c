//! Limits that wait for the handler's arguments.

use std::fmt;

use smallvec::SmallVec;

use super::client_ip::Resolver;
use super::context::{Ask, Asked, Context, begin};
use super::extract::Head;
use super::limit::HttpLimit;
use super::rejection::{Kept, RateLimited};
use super::setup_error::SetupError;
use crate::key::Key;
use crate::quota::Quota;
use crate::telemetry;

/// The quota of a request; `None` does not limit it.
type Applies = Option<Quota>;

/// The limits of one request that wait.
pub(super) struct Waiting {
    pub(super) context: Context,
    pub(super) limits: Vec<Waits>,
    /// For the answer to a denial.
    pub(super) kept: Kept,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("limits", &self.limits.len()).finish_non_exhaustive()
    }
}

/// What the head said about a limit; `None` is for the arguments to say.
pub(super) struct Waits {
    index: usize,
    limit: &'static HttpLimit,
    key: SmallVec<[Option<Key>; 2]>,
    /// Who counts where the arguments say that there is no key.
    fallback: Result<Key, SetupError>,
    quota: Option<Applies>,
    cost: Option<u32>,
    skip: Option<bool>,
}

/// What the handler's arguments said about one of its limits.
#[derive(Debug)]
pub struct Deferred {
    index: usize,
    keys: SmallVec<[Option<Key>; 2]>,
    quota: Option<Applies>,
    cost: Option<u32>,
    skip: Option<bool>,
}

impl Deferred {
    /// About the limit at this place in [`Limits::LIMITS`](super::handler_limits::Limits::LIMITS).
    pub fn limit(index: usize) -> Deferred {
        Deferred { index, keys: SmallVec::new(), quota: None, cost: None, skip: None }
    }

    /// The next part of its key that was open.
    pub fn key(mut self, key: Option<Key>) -> Deferred {
        self.keys.push(key);
        self
    }

    /// The quota that applies; `None` does not limit the request.
    pub fn quota(mut self, quota: Option<Quota>) -> Deferred {
        self.quota = Some(quota);
        self
    }

    /// What it takes.
    pub fn cost(mut self, cost: u32) -> Deferred {
        self.cost = Some(cost);
        self
    }

    /// Whether it does not count the request.
    pub fn skip(mut self, skip: bool) -> Deferred {
        self.skip = Some(skip);
        self
    }
}

impl Waits {
    pub(super) fn new(index: usize, limit: &'static HttpLimit, head: &Head<'_>) -> Result<Waits, SetupError> {
        let mut key = SmallVec::new();
        head.key_parts(&limit.key, &mut key)?;
        let (cost, skip) = (limit.cost.of(head.parts()), limit.skip.of(head.parts()));
        let quota = limit.quota.as_ref().and_then(|quota| quota.of(head.parts()));
        Ok(Waits { index, limit, key, fallback: head.by_ip(), quota, cost, skip })
    }

    /// What is asked of the limit, or `None` if it does not count the request.
    fn complete(self, said: Deferred, client_ip: &Resolver) -> Result<Option<Ask<'static>>, SetupError> {
        if said.skip.or(self.skip).unwrap_or(false) {
            return Ok(None);
        }
        let quota = match said.quota.or(self.quota) {
            Some(None) => return Ok(None),
            Some(quota) => quota,
            // The quota is missing, which cannot happen: the policy's own limits the request.
            None => None,
        };
        let mut keys = said.keys.into_iter();
        let fallback = || {
            client_ip.key_missing();
            self.fallback.clone()
        };
        let parts = self.key.into_iter().map(|known| known.or_else(|| keys.next().flatten()).map_or_else(fallback, Ok));
        let key = Key::composite(parts.collect::<Result<Vec<_>, _>>()?);
        Ok(Some(Ask::new(self.limit, quota, key, said.cost.or(self.cost).unwrap_or(1))))
    }
}

impl Waiting {
    pub(super) async fn decide(self, said: impl IntoIterator<Item = Deferred>) -> Result<(), RateLimited> {
        let Waiting { context, limits, kept } = self;
        let http = context.limiter().http();
        let denied = match asked(limits, said, &http.client_ip) {
            Err(error) => Some(RateLimited::not_set_up(error, http.on_setup_error.as_ref(), kept.call())),
            Ok(asked) => {
                let (checking, refunds) = begin(context.limiter(), &asked, context.left(context.limiter()));
                let decisions = context.settled(checking.settled().await);
                let denied = RateLimited::new(&decisions, context.on_denied(), || kept);
                context.record(decisions, refunds);
                denied
            }
        };
        let Some(denied) = denied else { return Ok(()) };
        // A request that is denied by one limit spends nothing of the others.
        if let Some(given_back) = context.denied() {
            given_back.await;
        }
        Err(denied)
    }
}

/// What is asked of the limits that count the request.
fn asked(
    limits: Vec<Waits>,
    said: impl IntoIterator<Item = Deferred>,
    client_ip: &Resolver,
) -> Result<Asked<'static>, SetupError> {
    let mut said: SmallVec<[Deferred; 2]> = said.into_iter().collect();
    let mut asked = Asked::new();
    for waits in limits {
        let Waits { index, limit, .. } = waits;
        let said = match said.iter().position(|said| said.index == index) {
            Some(at) => said.swap_remove(at),
            None => Deferred::limit(index),
        };
        match waits.complete(said, client_ip)? {
            Some(ask) => asked.push(ask),
            None => telemetry::skipped(&limit.policy),
        }
    }
    Ok(asked)
}
