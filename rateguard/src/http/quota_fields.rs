//! What a client is told about its quota.

use std::cmp::Reverse;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;

use super::ietf;
use crate::decision::Decision;
use crate::http::headers::{Headers, LIMIT, REMAINING, RESET, number, whole_seconds};

/// Writes the headers of this set. Nothing of what is not known: a guess would be worse.
pub(super) fn write(headers: &mut HeaderMap, set: Headers, decisions: &[Decision]) {
    let told = || decisions.iter().filter(|decision| !decision.degraded() && !decision.is_shadow());
    if set.contains(Headers::X_RATE_LIMIT)
        && let Some(nearest) = told().reduce(more_pressing)
    {
        nearest_exhaustion(headers, nearest, set.is_epoch());
    }
    if set.contains(Headers::IETF) {
        ietf::write(headers, told());
    }
}

/// Which of the two is nearer exhaustion: the one that refuses, of those the one that does so longer.
pub(super) fn more_pressing<'d>(one: &'d Decision, other: &'d Decision) -> &'d Decision {
    let rank = |decision: &Decision| {
        let refused_for = decision.would_deny().then(|| decision.retry_after().unwrap_or(Duration::MAX));
        (Reverse(refused_for), decision.remaining(), Reverse(decision.reset_after()))
    };
    if rank(other) < rank(one) { other } else { one }
}

/// `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
fn nearest_exhaustion(headers: &mut HeaderMap, decision: &Decision, as_epoch: bool) {
    // Never a mixture of ours and what another server said.
    // Most names in a response are among the usual ones, which are told from these at a glance: so is this quicker than
    // to look for each of them, for which it would have to be hashed.
    if headers.keys().any(|name| *name == LIMIT || *name == REMAINING || *name == RESET) {
        return;
    }
    let reset = if as_epoch { since_epoch() + decision.reset_after() } else { decision.reset_after() };
    headers.insert(LIMIT, number(decision.limit().into()));
    headers.insert(REMAINING, number(decision.remaining().into()));
    headers.insert(RESET, number(whole_seconds(reset)));
}

fn since_epoch() -> Duration {
    // Before 1970 there is nothing to tell.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
