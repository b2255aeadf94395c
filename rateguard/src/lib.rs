//! Rate limiting for axum as one line above a handler.

pub mod __private;
mod http;
mod key;
mod policy;
mod quota;

pub use key::{IntoKey, Key};
pub use policy::{OnError, Policy, PolicyNameError};
pub use quota::{Algorithm, Quota, QuotaError};
pub use rateguard_macros::rate_limit;
