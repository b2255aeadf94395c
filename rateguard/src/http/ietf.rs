//! `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers has them since its tenth version. A later
//! one may name the parameters differently; they are written here and nowhere else.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::headers::more_pressing;
use crate::decision::Decision;
use crate::headers::{POLICY_FIELD, QUOTA_FIELD, whole_seconds};
use crate::number::{self, hex_digit};
use crate::quota::{Algorithm, Quota};
use crate::text::Text;

/// Both lists, one after the other, so that they share an allocation: room for two policies with names of some length.
type Lists = Text<256>;

/// Both fields, with each of these policies once.
pub(super) fn write<'d>(headers: &mut HeaderMap, decisions: impl Iterator<Item = &'d Decision>) {
    if headers.contains_key(POLICY_FIELD) || headers.contains_key(QUOTA_FIELD) {
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
    let mut text = Lists::new();
    list(&mut text, &listed, policy);
    let length = text.len();
    list(&mut text, &listed, quota);
    let mut policies = text.into_bytes();
    let quotas = policies.split_off(length);
    for (name, list) in [(POLICY_FIELD, policies), (QUOTA_FIELD, quotas)] {
        if let Ok(value) = HeaderValue::from_maybe_shared(list) {
            headers.insert(name, value);
        }
    }
}

/// Members, with a comma between them.
fn list(text: &mut Lists, decisions: &[&Decision], member: fn(&mut Lists, &Decision)) {
    for (i, decision) in decisions.iter().enumerate() {
        if i > 0 {
            text.push(",");
        }
        member(text, decision);
    }
}

/// `"name";q=100;w=60`
fn policy(text: &mut Lists, decision: &Decision) {
    let (units, window) = allowance(decision.quota());
    name(text, decision.policy());
    parameter(text, b'q', units.into());
    parameter(text, b'w', window);
}

/// `"name";r=50;t=30`
fn quota(text: &mut Lists, decision: &Decision) {
    name(text, decision.policy());
    parameter(text, b'r', decision.remaining().into());
    let more_in = whole_seconds(decision.more_after());
    if more_in > 0 {
        parameter(text, b't', more_in);
    }
}

fn parameter(text: &mut Lists, letter: u8, number: u64) {
    text.push([b';', letter, b'=']);
    number::push(text, number);
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
fn name(text: &mut Lists, name: &str) {
    text.push("\"");
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => text.push([b'\\', byte]),
            b' '..=b'~' if byte != b'%' => text.push([byte]),
            _ => text.push([b'%', hex_digit(byte >> 4), hex_digit(byte & 15)]),
        }
    }
    text.push("\"");
}
