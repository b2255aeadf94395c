//! The attribute on the handlers that axum accepts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so"
)]
#![allow(clippy::unused_async, reason = "a handler is async whether it waits or not")]
#![forbid(unsafe_code, non_ascii_idents, unused_must_use, elided_lifetimes_in_paths)]

mod handlers;
mod handlers_called;
mod handlers_documented;
mod handlers_hygiene;
mod handlers_impl;
mod handlers_options;
mod handlers_with_others;
mod quotas_by_request;
