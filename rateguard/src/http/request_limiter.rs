//! The limiter of a request, for checks inside handlers.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;

use super::context::{Context, Refunds};
use super::grpc::Call;
use super::rejection::{Kept, RateLimited};
use super::setup_error::SetupError;
use crate::decision::{Check, Decision};
use crate::key::Key;
use crate::limiter::Decisions;
use crate::policy::Policy;
use crate::rate_guard::RateGuard;

/// The limiter, bound to a request: an extractor for handlers that check limits themselves, such as one for each recipient
/// of a message.
///
/// Its checks belong to the request as the attribute's do:
///
/// - A denial is the program's [own answer](crate::RateGuardBuilder::on_denied), if there is one.
/// - Its counts are in the quota headers.
/// - It waits for the store no longer than is left of the request's [deadline](crate::RateGuardBuilder::deadline).
/// - A denied request spends nothing: if the response is that of the [`RateLimited`], what the layers, the attribute and
///   other checks have charged is given back. A handler that goes on after a denial, or makes a response of its own, stays
///   charged for what was allowed.
///
/// After the response, as in the task of a WebSocket, each check stands alone: it has the whole deadline, and nothing is given
/// back for it.
///
/// Without the layer it answers `500`, and the log says which line to add.
///
/// ```
/// use axum::extract::Path;
/// use rateguard::{Key, Policy, Quota, RateLimited, RequestLimiter};
///
/// const INVITES: Policy = Policy::new("invites", Quota::per_hour(3));
///
/// async fn invite(limiter: RequestLimiter, Path(address): Path<String>) -> Result<&'static str, RateLimited> {
///     limiter.check(&INVITES, &Key::secret("address", &address)).await?;
///     Ok("sent")
/// }
/// ```
#[derive(Clone)]
pub struct RequestLimiter {
    context: Context,
    /// For the answer to a denial.
    kept: Kept,
}

impl<S: Send + Sync> FromRequestParts<S> for RequestLimiter {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<RequestLimiter, Response> {
        let Some(context) = parts.extensions.get::<Context>().cloned() else {
            return Err(SetupError::layer_missing("RequestLimiter").response(None, Call::of(parts).as_ref()));
        };
        let kept = Kept::of(parts, context.on_denied());
        Ok(RequestLimiter { context, kept })
    }
}

impl RequestLimiter {
    /// Takes one unit of the policy's quota for this key.
    ///
    /// # Errors
    ///
    /// When the policy denies: the answer to send.
    pub async fn check(&self, policy: &Policy, key: &Key) -> Result<Decision, RateLimited> {
        self.check_cost(policy, key, 1).await
    }

    /// Takes `cost` units, all or none.
    ///
    /// # Errors
    ///
    /// When the policy denies: the answer to send.
    pub async fn check_cost(&self, policy: &Policy, key: &Key, cost: u32) -> Result<Decision, RateLimited> {
        let check = Check::new(policy, key).cost(cost);
        let only = self.decide(std::slice::from_ref(&check)).await?.pop();
        Ok(only.unwrap_or_else(|| Decision::missing(check.owned())))
    }

    /// Decides several checks together: if one of them denies, none is charged. The decisions come in the order of the
    /// checks.
    ///
    /// # Errors
    ///
    /// When one of the policies denies: the answer to send.
    pub async fn check_all(&self, checks: &[Check<'_>]) -> Result<Vec<Decision>, RateLimited> {
        Ok(self.decide(checks).await?.into_vec())
    }

    /// The limiter itself, whose checks are not the request's.
    pub fn limiter(&self) -> &RateGuard {
        self.context.limiter()
    }

    async fn decide(&self, checks: &[Check<'_>]) -> Result<Decisions, RateLimited> {
        let limiter = self.limiter().limiter();
        limiter.register_all(checks);
        let checking = limiter.begin(checks, self.context.left(self.limiter()));
        let decisions = self.context.settled(checking.settled().await);
        let denied = RateLimited::new(&decisions, self.context.on_denied(), || self.kept.clone());
        self.context.record(decisions.clone(), Refunds::new());
        match denied {
            None => Ok(decisions),
            // What was charged is given back when this is the response: the handler may go on.
            Some(denied) => Err(denied.of_handler()),
        }
    }
}

impl std::fmt::Debug for RequestLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestLimiter").field("limiter", self.limiter()).finish_non_exhaustive()
    }
}
