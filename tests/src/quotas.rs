//! All sorts of quotas.

use std::time::Duration;

use rateguard::{Algorithm, Quota};

/// Every algorithm.
pub const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::SlidingWindow, Algorithm::SlidingCounter, Algorithm::FixedWindow, Algorithm::TokenBucket];

/// A quota of each form that counts are kept in. For the sliding window these are three: up to 128, up to 512, and above; so
/// the limit is from 2 to 5.
pub fn one_of_each_form(limit: u32, window: Duration) -> [Quota; 6] {
    [
        Quota::sliding_window(limit, window),
        Quota::sliding_window(100 * limit, window),
        Quota::sliding_window(1000 * limit, window),
        Quota::sliding_counter(limit, window),
        Quota::fixed_window(limit, window),
        Quota::token_bucket(limit, window),
    ]
}
