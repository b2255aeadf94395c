//! The extractor that the attribute puts in front of a handler's own.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;

use super::context::{Asked, Context, Refunds, begin};
use super::deferred::{Deferred, Waiting, Waits};
use super::extract::{Head, Said, captured};
use super::grpc::Call;
use super::handler_limits::Limits;
use super::rejection::{self, Kept, RateLimited};
use super::setup_error::SetupError;
use crate::limiter::{Checking, Decisions, Later};
use crate::telemetry;

/// Decides a handler's limits: those that need only the request's head when it is extracted, the others when it is
/// [settled](Guard::settle).
#[derive(Debug)]
pub struct Guard<L> {
    /// The limits that wait for the handler's arguments, if there are any.
    waiting: Option<Box<Waiting>>,
    limits: PhantomData<fn() -> L>,
}

impl<S: Send + Sync, L: Limits> FromRequestParts<S> for Guard<L> {
    // The response itself: the reason is never used.
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        // Work that does not wait is done outside of this future, to keep the future small: it is a part of the handler's.
        let Some(context) = parts.extensions.get::<Context>().cloned() else {
            return Err(SetupError::layer_missing(L::HANDLER).response(None, Call::of(parts).as_ref()));
        };
        let guard = match Guard::begin(&context, parts) {
            Ok(Begun::Decided(guard)) => return Ok(guard),
            Ok(Begun::Asked(later, undecided)) => {
                let decisions = context.settled(later.await);
                settle(&context, decisions, undecided, parts)
            }
            Err(response) => Err(response),
        };
        let response = match guard {
            Ok(guard) => return Ok(guard),
            Err(response) => response,
        };
        // A denied request spends nothing: what outer layers have charged is given back before the answer.
        let Some(given_back) = context.denied() else { return Err(response) };
        let response = Box::new(response);
        given_back.await;
        Err(*response)
    }
}

/// The state of a guard before it waits.
enum Begun<L> {
    Decided(Guard<L>),
    Asked(Later, Undecided),
}

/// What has to be known of a request when its decisions are there.
struct Undecided {
    refunds: Refunds,
    waits: Vec<Waits>,
}

impl<L> Guard<L> {
    /// One that decides nothing, for a handler that is called directly.
    pub(super) fn open() -> Guard<L> {
        Guard { waiting: None, limits: PhantomData }
    }
}

impl<L: Limits> Guard<L> {
    #[expect(clippy::result_large_err, reason = "the answer to a denial, which a box would cost an allocation")]
    fn begin(context: &Context, parts: &mut Parts) -> Result<Begun<L>, Response> {
        let path = captured(parts, L::limits())?;
        context.met_user(&parts.extensions);
        let http = context.limiter().http();
        let head = Head::new(parts, path.as_ref(), L::HANDLER, http);
        let wrong = |error: SetupError| error.response(http.on_setup_error.as_ref(), Call::of(head.parts()).as_ref());
        let mut asked = Asked::new();
        let mut waits = Vec::new();
        for (index, limit) in L::limits().iter().enumerate() {
            context.limiter().register_limit(limit);
            match head.says(limit).map_err(wrong)? {
                Said::Skipped => telemetry::skipped(&limit.policy),
                Said::Counted(ask) => asked.push(ask),
                Said::Deferred => waits.push(Waits::new(index, limit, &head).map_err(wrong)?),
            }
        }
        let (checking, refunds) = begin(context.limiter(), &asked, context.left(context.limiter()));
        let undecided = Undecided { refunds, waits };
        match checking {
            Checking::Done(decisions) => settle(context, decisions, undecided, parts).map(Begun::Decided),
            Checking::Asked(later) => Ok(Begun::Asked(later, undecided)),
        }
    }

    /// Decides the limits that waited for the handler's arguments.
    ///
    /// # Errors
    ///
    /// The answer to send when one of them denies.
    pub async fn settle<const N: usize>(self, said: [Deferred; N]) -> Result<(), RateLimited> {
        match self.waiting {
            None => Ok(()),
            Some(waiting) => waiting.decide(said).await,
        }
    }
}

/// Keeps the decisions, and answers if they deny: with the head, if the program answers for itself.
#[expect(clippy::result_large_err, reason = "the answer to a denial, which a box would cost an allocation")]
fn settle<L>(
    context: &Context,
    decisions: Decisions,
    undecided: Undecided,
    parts: &mut Parts,
) -> Result<Guard<L>, Response> {
    let Undecided { refunds, waits } = undecided;
    let answer = rejection::answer(&decisions, context.on_denied(), parts);
    context.record(decisions, refunds);
    match answer {
        Some(response) => Err(response),
        None if waits.is_empty() => Ok(Guard::open()),
        None => {
            let kept = Kept::of(parts, context.on_denied());
            let waiting = Box::new(Waiting { context: context.clone(), limits: waits, kept });
            Ok(Guard { waiting: Some(waiting), limits: PhantomData })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;
    use axum::http::Request;

    use super::*;
    use crate::http::limit::HttpLimit;
    use crate::http::setting::Setting;
    use crate::http::written;
    use crate::{Key, KeyBy, Policy, Quota, RateGuard};

    const POLICY: Policy = Policy::new("test", Quota::per_minute(10));

    struct FromTheHead;
    impl Limits for FromTheHead {
        const HANDLER: &'static str = "test";
        const LIMITS: &'static [HttpLimit] = &[
            HttpLimit::from_policy(POLICY, KeyBy::Ip),
            HttpLimit::from_policy(POLICY, written::header("header.x-api-key")),
            HttpLimit::from_policy(
                POLICY,
                written::all({
                    const PARTS: &[KeyBy] = &[KeyBy::Ip, written::cookie("cookie.session")];
                    PARTS
                }),
            ),
        ];
    }

    struct FromTheArguments;
    impl Limits for FromTheArguments {
        const HANDLER: &'static str = "test";
        const LIMITS: &'static [HttpLimit] = &[written::limit(
            POLICY,
            written::deferred(),
            None,
            Setting::fixed(1),
            Setting::fixed(false),
            None,
            &[],
            false,
        )];
    }

    fn request(limiter: &RateGuard) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        parts.extensions.insert(Context::new(limiter.clone(), None, false, None));
        parts
    }

    #[tokio::test]
    async fn each_key_that_a_handlers_limit_misses_is_counted_once() {
        let limiter = RateGuard::memory();
        let missing = || limiter.http().client_ip.key_missing_count();
        Guard::<FromTheHead>::from_request_parts(&mut request(&limiter), &()).await.unwrap();
        assert_eq!(missing(), 2);

        let guard = Guard::<FromTheArguments>::from_request_parts(&mut request(&limiter), &()).await.unwrap();
        assert_eq!(missing(), 2);
        guard.settle([Deferred::limit(0).key(None)]).await.unwrap();
        assert_eq!(missing(), 3);

        let guard = Guard::<FromTheArguments>::from_request_parts(&mut request(&limiter), &()).await.unwrap();
        guard.settle([Deferred::limit(0).key(Some(Key::user(1)))]).await.unwrap();
        assert_eq!(missing(), 3);
    }

    struct ByRequest;
    impl Limits for ByRequest {
        const HANDLER: &'static str = "test";
        const LIMITS: &'static [HttpLimit] = &[written::limit(
            written::by_request("by-request", Quota::per_minute(1)),
            written::deferred(),
            Some(Setting::deferred()),
            Setting::fixed(1),
            Setting::fixed(false),
            None,
            &[],
            false,
        )];
    }

    #[tokio::test]
    async fn a_quota_that_nobody_said_limits_as_the_policy_does() {
        let limiter = RateGuard::memory();
        for allowed in [true, false] {
            let guard = Guard::<ByRequest>::from_request_parts(&mut request(&limiter), &()).await.unwrap();
            assert_eq!(guard.settle([Deferred::limit(0)]).await.is_ok(), allowed);
        }
    }
}
