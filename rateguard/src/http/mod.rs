//! The axum and tower integration.
pub(crate) mod client_ip;

mod context;
pub(crate) mod denied;
pub(crate) mod extract;
mod future;
pub(crate) mod guard;
pub(crate) mod headers;
mod ietf;
mod key_by;
mod layer;
pub(crate) mod limit;
mod limited;
pub(crate) mod normalize;
#[cfg(any(feature = "aide", feature = "utoipa"))]
mod openapi;
mod peer;
pub(crate) mod problem;
mod quota_fields;
mod refund;
mod rejection;
mod service;
mod setup_error;
#[cfg(feature = "axum-extra")]
mod typed_path;
mod upload;
pub use extract::UserId;
pub use future::RateLimitFuture;
pub use key_by::KeyBy;
pub use layer::RateLimitLayer;
pub use limited::Limited;
pub use rejection::RateLimited;
pub use service::RateLimitService;
