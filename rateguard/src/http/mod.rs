//! The axum and tower integration.

mod exchange;
mod future;
pub(crate) mod guard;
mod headers;
pub(crate) mod identity;
mod ietf;
mod key_by;
mod layer;
mod limited;
mod misuse;
#[cfg(any(feature = "aide", feature = "utoipa"))]
mod openapi;
mod peer;
mod refund;
mod rejection;
pub(crate) mod rule;
mod service;
pub(crate) mod spelling;
#[cfg(feature = "axum-extra")]
mod typed_path;
mod upload;

pub use future::RateLimitFuture;
pub use identity::UserId;
pub use key_by::KeyBy;
pub use layer::RateLimitLayer;
pub use limited::Limited;
pub use rejection::RateLimited;
pub use service::RateLimitService;
