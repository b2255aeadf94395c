//! What the compiler says about code with the attribute, and what types promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so"
)]

mod shapes;
mod types;
mod ui;
