//! Denials inside the methods of tonic's services.

use ::tonic::{Code, Status};
use axum::http::HeaderValue;

use super::Call;
use crate::http::rejection::RateLimited;

/// The status that a layer answers with, for checks in a method of a service: `RESOURCE_EXHAUSTED`, or `UNAVAILABLE` where
/// the store cannot be asked and the policy is [`OnError::Closed`](crate::OnError::Closed), with the time to wait.
///
/// ```
/// use rateguard::{Key, Policy, Quota, RateGuard};
/// use tonic::{Request, Response, Status};
///
/// const EXPORTS: Policy = Policy::new("exports", Quota::per_hour(3));
///
/// struct Service {
///     limiter: RateGuard,
/// }
///
/// impl Service {
///     async fn export(&self, request: Request<String>) -> Result<Response<String>, Status> {
///         let account = Key::new("account", request.get_ref());
///         self.limiter.check(&EXPORTS, &account).await.into_result()?;
///         Ok(Response::new("done".to_owned()))
///     }
/// }
/// ```
impl From<RateLimited> for Status {
    fn from(denied: RateLimited) -> Status {
        let call = Call { content_type: HeaderValue::from_static("application/grpc"), reads_trailers: true };
        let answer = denied.answered(&call);
        Status::from_header_map(answer.headers()).unwrap_or_else(|| Status::new(Code::Internal, denied.to_string()))
    }
}
