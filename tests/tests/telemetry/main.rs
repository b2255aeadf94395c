//! Metrics, and what is logged: the recorder, a subscriber and what was said already belong to the whole process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so"
)]

mod outage_log;
mod requests;
mod secrets;
mod setup_errors;
