//! Limits on gRPC calls: tonic's servers and clients, as they are.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

mod answers;
mod forged;
mod peers;
mod service;
mod streams;
