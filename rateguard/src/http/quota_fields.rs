//! The headers that tell a client about its quota.
//!
//! `RateLimit-Policy` and `RateLimit` are as draft-ietf-httpapi-ratelimit-headers has them since its tenth version. A later
//! version may name the parameters differently; they are written here and nowhere else.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::headers::{Headers, LIMIT, POLICY_FIELD, QUOTA_FIELD, REMAINING, RESET, number};
use crate::clock::whole_seconds;
use crate::decision::Decision;
use crate::quota::{Algorithm, Quota};

/// Writes the headers of this set. What is not known is not written: a guess would be worse.
pub(super) fn write<'d>(headers: &mut HeaderMap, set: Headers, decisions: impl Iterator<Item = &'d Decision> + Clone) {
    let known = decisions.filter(|decision| !decision.degraded() && !decision.is_unknown() && !decision.is_shadow());
    if set.contains(Headers::X_RATE_LIMIT)
        && let Some(nearest) = known.clone().reduce(more_pressing)
    {
        x_rate_limit(headers, nearest, set.is_epoch());
    }
    if set.contains(Headers::IETF) {
        ietf(headers, known);
    }
}

/// The one that is nearer exhaustion: the one that denies; of two that deny, the one that does so longer.
fn more_pressing<'d>(one: &'d Decision, other: &'d Decision) -> &'d Decision {
    let rank = |decision: &Decision| {
        let denied_for = decision.would_deny().then(|| decision.retry_after().unwrap_or(Duration::MAX));
        (Reverse(denied_for), decision.remaining(), Reverse(decision.reset_after()))
    };
    if rank(other) < rank(one) { other } else { one }
}

/// `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
fn x_rate_limit(headers: &mut HeaderMap, decision: &Decision, as_epoch: bool) {
    // Never a mixture of ours and what another server said.
    // Most header names are standard ones, which are recognized without hashing. Looking ours up would need a hash.
    if headers.keys().any(|name| *name == LIMIT || *name == REMAINING || *name == RESET) {
        return;
    }
    let reset = if as_epoch { since_epoch() + decision.reset_after() } else { decision.reset_after() };
    headers.insert(LIMIT, number(decision.limit().into()));
    headers.insert(REMAINING, number(decision.remaining().into()));
    headers.insert(RESET, number(whole_seconds(reset)));
}

fn since_epoch() -> Duration {
    // A clock before 1970 gives no value.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Room for two policies with names of some length.
const ROOM: usize = 192;

type Member = fn(&mut String, &Decision);

/// `RateLimit-Policy` and `RateLimit`, with each of these policies once.
fn ietf<'d>(headers: &mut HeaderMap, decisions: impl Iterator<Item = &'d Decision>) {
    if headers.keys().any(|name| *name == POLICY_FIELD || *name == QUOTA_FIELD) {
        return;
    }
    let mut listed: SmallVec<[&Decision; 4]> = SmallVec::new();
    for decision in decisions {
        // A name stands for one policy. Where two limits have it, for different keys perhaps, one is told.
        match listed.iter_mut().find(|listed| listed.policy() == decision.policy()) {
            None => listed.push(decision),
            Some(listed) => *listed = more_pressing(listed, decision),
        }
    }
    // An empty list is written by leaving the field away.
    if listed.is_empty() {
        return;
    }
    for (name, member) in [(POLICY_FIELD, policy as Member), (QUOTA_FIELD, quota)] {
        let mut list = String::with_capacity(ROOM);
        for (i, decision) in listed.iter().enumerate() {
            if i > 0 {
                list.push(',');
            }
            member(&mut list, decision);
        }
        if let Ok(value) = HeaderValue::try_from(list) {
            headers.insert(name, value);
        }
    }
}

/// `"name";q=100;w=60`
fn policy(list: &mut String, decision: &Decision) {
    let (units, window) = allowance(decision.quota());
    name(list, decision.policy());
    parameter(list, 'q', units.into());
    parameter(list, 'w', window);
}

/// `"name";r=50;t=30`
fn quota(list: &mut String, decision: &Decision) {
    name(list, decision.policy());
    parameter(list, 'r', decision.remaining().into());
    let more_in = whole_seconds(decision.more_after());
    if more_in > 0 {
        parameter(list, 't', more_in);
    }
}

fn parameter(list: &mut String, letter: char, number: u64) {
    list.extend([';', letter, '=']);
    list.push_str(itoa::Buffer::new().format(number));
}

/// Units, and the seconds for which they are meant.
fn allowance(quota: Quota) -> (u32, u64) {
    let (limit, capacity) = (quota.limit(), quota.capacity());
    // A bucket may hold more than its limit, and `r` would be more than `q`: the same rate, by what it holds.
    let (units, window) = if quota.algorithm() == Algorithm::TokenBucket && capacity > limit {
        let (micros, fraction) = quota.refill_time(capacity);
        (capacity, Duration::from_micros(micros + u64::from(fraction > 0)))
    } else {
        (limit, quota.window())
    };
    (units, whole_seconds(window).max(1))
}

/// A member up to its parameters: a String (RFC 9651, section 3.3.3). What that cannot hold is written as in a Display
/// String (section 3.3.8).
fn name(list: &mut String, name: &str) {
    list.push('"');
    if name.bytes().all(is_plain) {
        list.push_str(name);
    } else {
        name.bytes().for_each(|byte| escaped(list, byte));
    }
    list.push('"');
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'%')
}

fn escaped(list: &mut String, byte: u8) {
    match byte {
        byte if is_plain(byte) => list.push(byte.into()),
        b'"' | b'\\' => list.extend(['\\', byte.into()]),
        // Writing to a string cannot fail.
        _ => drop(write!(list, "%{byte:02x}")),
    }
}
