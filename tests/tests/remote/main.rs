//! Redis, clusters, sentinels and Upstash: keys, connections and outages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so"
)]

mod cluster;
mod outage;
mod poisoned_keys;
mod redis_keys;
mod redis_urls;
mod upstash;
