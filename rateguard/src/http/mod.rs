//! The axum and tower integration.

pub(crate) mod amounts;
pub(crate) mod client_ip;
mod config;
pub(crate) mod context;
pub(crate) mod deferred;
mod denial;
pub(crate) mod denied;
pub(crate) mod exempt;
pub(crate) mod extract;
mod future;
mod grpc;
pub(crate) mod guard;
pub(crate) mod handler_limits;
pub(crate) mod handlers;
pub(crate) mod headers;
pub(crate) mod key_by;
mod layer;
pub(crate) mod limit;
mod limited;
pub(crate) mod normalize;
#[cfg(any(feature = "aide", feature = "utoipa"))]
mod openapi;
mod quota_fields;
pub(crate) mod registry;
pub(crate) mod rejection;
mod request_limiter;
mod service;
pub(crate) mod setting;
pub(crate) mod settings;
pub(crate) mod setup_error;
#[cfg(feature = "axum-extra")]
mod typed_path;
mod upload;
mod usage;
mod user_id;
pub mod written;

pub use client_ip::{ClientIp, Peer};
pub use context::Decisions;
pub use denied::Denied;
pub use future::RateLimitFuture;
pub use handler_limits::HandlerLimits;
pub use headers::Headers;
pub use key_by::KeyBy;
pub use layer::RateLimitLayer;
pub use limit::HttpLimit;
pub use limited::Limited;
pub use rejection::RateLimited;
pub use request_limiter::RequestLimiter;
pub use service::RateLimitService;
pub use setup_error::SetupError;
pub use usage::usage;
pub use user_id::UserId;
