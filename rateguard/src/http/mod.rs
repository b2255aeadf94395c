//! The axum and tower integration.
pub(crate) mod guard;
pub(crate) mod identity;
pub(crate) mod rule;
