//! The layer: who is counted, what a client is told, and what it is not charged for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so"
)]
#![allow(clippy::unused_async, reason = "a handler is async whether it waits or not")]

mod client_ip;
mod denied;
mod headers;
mod identities;
mod one_decision;
mod own_usage;
mod request_limiter;
mod responses;
mod shadow;
mod unix_socket;
mod who_asks;
