//! What the limiter decides on every store, and that the stores decide alike.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so"
)]

mod close;
mod deny_cache;
mod full_store;
mod many_processes;
mod quota_changes;
mod quotas;
mod refunds;
mod rules;
mod stores;
