//! Rate limiting for axum as one line above a handler.

pub mod __private;
mod algorithm;
mod clock;
mod config;
mod decision;
mod error;
mod http;
mod key;
mod key_text;
mod limiter;
mod network;
mod policy;
mod quota;
mod store;
mod url;

pub use clock::Clock;
pub use config::RateGuardBuilder;
pub use decision::Decision;
pub use error::{ConfigError, StoreError, StoreErrorKind};
pub use http::{KeyBy, RateLimitFuture, RateLimitLayer, RateLimitService, RateLimited, UserId};
pub use key::{IntoKey, Key};
pub use limiter::{Check, RateGuard};
pub use policy::{OnError, Policy, PolicyNameError};
pub use quota::{Algorithm, Quota, QuotaError};
pub use rateguard_macros::rate_limit;
