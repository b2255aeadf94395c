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

mod called;
mod documented;
mod handlers;
mod hygiene;
mod impl_blocks;
mod options;
mod quotas_by_request;
mod with_others;
