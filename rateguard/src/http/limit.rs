//! One limit on HTTP requests, as a layer and the attribute describe it.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;

use super::amounts::{ToCost, ToQuota};
use super::exempt::Exempt;
use super::key_by::KeyBy;
use super::setting::{Callback, Setting};
use crate::policy::{OnError, Policy};
use crate::quota::Quota;

/// A limit on HTTP requests: a [`Policy`], what it counts by ([`KeyBy`]), and how.
///
/// A layer takes it with [`RateLimitLayer::rule`](super::RateLimitLayer::rule); everything that the
/// [attribute](macro@crate::rate_limit) can do about the head of a request is here too.
///
/// ```
/// use axum::http::Method;
/// use rateguard::{HttpLimit, KeyBy, Quota, RateGuard, RateLimitLayer};
///
/// let layer = RateLimitLayer::new(RateGuard::memory()).rule(
///     HttpLimit::new("writes", Quota::per_minute(100), KeyBy::User)
///         .methods([Method::POST, Method::PUT])
///         .cost(|head| if head.uri.path() == "/import" { 10 } else { 1 })
///         .refund_if(|response| response.status().is_server_error()),
/// );
/// ```
#[derive(Clone)]
#[must_use = "a limit does nothing until a layer has it: `RateLimitLayer::rule`"]
pub struct HttpLimit {
    pub(super) policy: Policy,
    pub(super) key: KeyBy,
    /// In place of the policy's quota.
    pub(super) quota: Option<Setting<Option<Quota>>>,
    pub(super) cost: Setting<u32>,
    pub(super) skip: Setting<bool>,
    pub(super) refund_if: Option<RefundIf>,
    /// Empty: requests of any method.
    pub(super) methods: Methods,
    pub(super) exempt: Exempt,
    /// Whether its policy is named after the handler.
    pub(super) is_named_by_default: bool,
}

/// Which responses give the charge back.
#[derive(Clone, Debug)]
pub struct RefundIf(pub(super) Callback<Response, bool>);

type Methods = Option<Arc<[Method]>>;

impl HttpLimit {
    /// A limit that takes one unit for each request.
    ///
    /// # Panics
    ///
    /// When `name` cannot be the name of a [`Policy`]: see [`Policy::try_new`], which returns the error instead.
    #[expect(clippy::panic, reason = "documented; a limit is made when the program starts, not when a request comes")]
    #[track_caller]
    pub fn new(name: impl Into<Cow<'static, str>>, quota: Quota, key: KeyBy) -> HttpLimit {
        match Policy::try_new(name, quota) {
            Ok(policy) => HttpLimit::from_policy(policy.written_at(Location::caller()), key),
            Err(error) => panic!("rateguard: HttpLimit::new: {error}"),
        }
    }

    /// A limit by a policy that other code has too, such as code that [resets](crate::RateGuard::reset) it.
    pub const fn from_policy(policy: Policy, key: KeyBy) -> HttpLimit {
        HttpLimit {
            policy,
            key,
            quota: None,
            cost: Setting::fixed(1),
            skip: Setting::fixed(false),
            refund_if: None,
            methods: None,
            exempt: Exempt::written(&[]),
            is_named_by_default: false,
        }
    }

    /// The quota for a request, where it depends on who asks: a plan, a tenant's contract. It replaces the one that the
    /// limit was made with; `None` does not limit the request.
    ///
    /// A client whose quota changes keeps what was counted, as long as the algorithm is the same. Quotas
    /// [set at run time](crate::RateGuard::set_quota) do not apply to such a limit.
    ///
    /// ```
    /// use rateguard::{HttpLimit, KeyBy, Quota};
    ///
    /// #[derive(Clone, Copy)]
    /// enum Plan { Free, Pro, Internal }
    ///
    /// let limit = HttpLimit::new("api", Quota::per_minute(60), KeyBy::User).quota_by(|head| {
    ///     // The authentication layer has put it there.
    ///     match head.extensions.get::<Plan>() {
    ///         None | Some(Plan::Free) => Some(Quota::per_minute(60)),
    ///         Some(Plan::Pro) => Some(Quota::per_minute(6000)),
    ///         Some(Plan::Internal) => None,
    ///     }
    /// });
    /// ```
    #[doc(alias = "plan")]
    #[doc(alias = "dynamic")]
    pub fn quota_by<Q: ToQuota>(mut self, quota: impl Fn(&Parts) -> Q + Send + Sync + 'static) -> HttpLimit {
        self.policy = self.policy.by_request();
        self.quota = Some(Setting::shared(move |head| quota(head).to_quota()));
        self
    }

    /// Clients that this limit does not count: networks such as `10.0.0.0/8` or `2001:db8::/32`, single addresses, and the
    /// names `loopback` and `private`. Called again, it adds to the list. For all limits, see
    /// [`RateGuardBuilder::exempt`](crate::RateGuardBuilder::exempt).
    ///
    /// # Panics
    ///
    /// When one of the texts is neither an address nor a network nor such a name.
    #[doc(alias = "allowlist")]
    #[doc(alias = "whitelist")]
    #[expect(clippy::panic, reason = "documented; a limit is made when the program starts, not when a request comes")]
    #[track_caller]
    pub fn exempt(mut self, clients: impl IntoIterator<Item = impl AsRef<str>>) -> HttpLimit {
        match self.exempt.and(clients) {
            Ok(exempt) => self.exempt = exempt,
            Err(error) => panic!("rateguard: HttpLimit::{error}"),
        }
        self
    }

    /// How many units a request takes, of any integer type. Less than 1 counts as 1. Default 1.
    #[doc(alias = "points")]
    pub fn cost<C: ToCost>(mut self, cost: impl Fn(&Parts) -> C + Send + Sync + 'static) -> HttpLimit {
        self.cost = Setting::shared(move |head| cost(head).to_cost());
        self
    }

    /// Which requests this limit does not count: those for which the closure returns `true`.
    pub fn skip(mut self, skip: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> HttpLimit {
        self.skip = Setting::shared(skip);
        self
    }

    /// Which responses give the charge back: those for which the closure returns `true`. If the client hangs up before
    /// there is a response, the request stays charged.
    #[doc(alias = "skipSuccessfulRequests")]
    #[doc(alias = "deduct_when")]
    pub fn refund_if(mut self, refund_if: impl Fn(&Response) -> bool + Send + Sync + 'static) -> HttpLimit {
        self.refund_if = Some(RefundIf(Callback::shared(refund_if)));
        self
    }

    /// Count only requests with these methods. Default: any method.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> HttpLimit {
        self.methods = Some(methods.into_iter().collect());
        self
    }

    /// What to answer while the store cannot be asked, instead of the limiter's
    /// [own setting](crate::RateGuardBuilder::on_error).
    pub fn on_error(mut self, on_error: OnError) -> HttpLimit {
        self.policy = self.policy.on_error(on_error);
        self
    }

    /// Shadow mode (dry run): decide, count and report, but never deny. Default `false`.
    #[doc(alias = "dry_run")]
    pub fn shadow(mut self, shadow: bool) -> HttpLimit {
        self.policy = self.policy.shadow(shadow);
        self
    }

    /// What the units are called in the words of a `429`, in the plural. Default `requests`.
    ///
    /// # Panics
    ///
    /// When [`Policy::unit`] would.
    pub fn unit(mut self, unit: &'static str) -> HttpLimit {
        self.policy = self.policy.unit(unit);
        self
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

impl HttpLimit {
    /// Whether it can only be decided once the handler's arguments are there.
    pub(super) fn is_deferred(&self) -> bool {
        self.key.is_deferred()
            || self.cost.is_deferred()
            || self.skip.is_deferred()
            || self.quota.as_ref().is_some_and(Setting::is_deferred)
    }

    /// The same limit, which does not count these clients either.
    pub(crate) fn exempt_also(mut self, exempt: &Exempt) -> HttpLimit {
        self.exempt = self.exempt.joined(exempt);
        self
    }

    pub(super) fn counts(&self, method: &Method) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(method))
    }
}

impl fmt::Debug for HttpLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLimit").field("policy", &self.policy).field("key", &self.key).finish_non_exhaustive()
    }
}
