//! Little time: programs that block, servers that are slow, and requests that wait for them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so"
)]

mod request_budget;
mod slow_moment;
mod starved;
