//! What a client is told about its quota.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::decision::Decision;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// `X-RateLimit-Limit`, `-Remaining` and `-Reset` (in seconds from now, rounded up) of the limit that is nearest
/// exhaustion. Nothing if none is known: a guess would be worse.
pub(super) fn write(headers: &mut HeaderMap, decisions: &[Decision]) {
    let nearest =
        decisions.iter().filter(|decision| !decision.degraded() && !decision.is_shadow()).min_by_key(|decision| {
            // A limit that refuses comes first, and among those the one that does so longest.
            let refused_for = decision.would_refuse().then(|| decision.retry_after().unwrap_or(Duration::MAX));
            (std::cmp::Reverse(refused_for), decision.remaining(), std::cmp::Reverse(decision.reset_after()))
        });
    if let Some(decision) = nearest {
        headers.insert(LIMIT, HeaderValue::from(decision.limit()));
        headers.insert(REMAINING, HeaderValue::from(decision.remaining()));
        headers.insert(RESET, HeaderValue::from(whole_seconds(decision.reset_after())));
    }
}

/// Seconds, rounded up: a client that waits that long has waited long enough.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
