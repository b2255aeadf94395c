//! Micro benchmarks: a check in memory beside governor's, keys, and headers. No network and no runtime.
//!
//! ```text
//! cargo bench -p rateguard-benches --bench micro
//! ```
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a program that measures stops where it cannot")]

mod checks;
mod headers;
mod keys;
mod layer;

fn main() {
    divan::main();
}
