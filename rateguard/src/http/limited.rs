//! What the attribute makes of a handler's first argument.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::guard::Guard;
use super::handler_limits::Limits;

/// What a limited handler takes as its first argument: the argument, behind the limits `L` of the handler.
///
/// The [attribute](macro@crate::rate_limit) puts it there. axum makes one by deciding the limits before it extracts the
/// argument. Code that calls the handler itself, such as a unit test, makes one with `.into()`, and calls a handler without
/// arguments with `Default::default()`. Such a call is not counted.
///
/// ```
/// use axum::extract::{Path, State};
/// use rateguard::rate_limit;
///
/// #[rate_limit(limit = 5, window = 60)]
/// async fn show(State(shop): State<&'static str>, Path(id): Path<u32>) -> String {
///     format!("{shop} {id}")
/// }
///
/// #[rate_limit(limit = 5, window = 60)]
/// async fn ping() -> &'static str {
///     "pong"
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// assert_eq!(show(State("books").into(), Path(2)).await, "books 2");
/// assert_eq!(ping(Default::default()).await, "pong");
/// # }
/// ```
///
/// A handler with a limit over its arguments, such as `key = id`, returns a `Result` of what it is written to return, so a
/// test unwraps it.
#[derive(Debug)]
pub struct Limited<L, T>(#[doc(hidden)] pub Guard<L>, #[doc(hidden)] pub T);

impl<L, T> From<T> for Limited<L, T> {
    fn from(argument: T) -> Limited<L, T> {
        Limited(Guard::open(), argument)
    }
}

impl<L, T: Default> Default for Limited<L, T> {
    fn default() -> Limited<L, T> {
        T::default().into()
    }
}

impl<S: Send + Sync, L: Limits, T: FromRequestParts<S>> FromRequestParts<S> for Limited<L, T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let guard = Guard::from_request_parts(parts, state).await?;
        let argument = T::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        Ok(Limited(guard, argument))
    }
}

// Only for what takes the body: anything else is covered by the implementation above.
impl<S: Send + Sync, L: Limits, T: FromRequest<S>> FromRequest<S> for Limited<L, T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let guard = Guard::from_request_parts(&mut parts, state).await?;
        let argument = T::from_request(Request::from_parts(parts, body), state).await;
        Ok(Limited(guard, argument.map_err(IntoResponse::into_response)?))
    }
}
