//! What the processes of `./tests/run --history` write down, and whether it keeps the limits.
#![allow(missing_docs, reason = "the fields are the words of the log")]

pub mod checker;
#[cfg(test)]
mod checker_tests;
pub mod record;
