//! `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers has them since its tenth version. A later
//! one may name the parameters differently; they are written here and nowhere else.

use std::fmt::Write as _;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::headers::more_pressing;
use crate::decision::Decision;
use crate::headers::{POLICY_FIELD, QUOTA_FIELD, whole_seconds};
use crate::quota::{Algorithm, Quota};

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
    let (mut policies, mut quotas) = (String::new(), String::new());
    for decision in listed {
        policy(&mut policies, decision);
        quota(&mut quotas, decision);
    }
    for (name, list) in [(POLICY_FIELD, policies), (QUOTA_FIELD, quotas)] {
        // An empty list is written by leaving the field away.
        if let (false, Ok(value)) = (list.is_empty(), HeaderValue::try_from(list)) {
            headers.insert(name, value);
        }
    }
}

/// `"name";q=100;w=60`
fn policy(list: &mut String, decision: &Decision) {
    let (units, window) = allowance(decision.quota());
    member(list, decision.policy());
    // Writing to a string cannot fail.
    let _ = write!(list, ";q={units};w={window}");
}

/// `"name";r=50;t=30`
fn quota(list: &mut String, decision: &Decision) {
    member(list, decision.policy());
    let _ = write!(list, ";r={}", decision.remaining());
    let more_in = whole_seconds(decision.more_after());
    if more_in > 0 {
        let _ = write!(list, ";t={more_in}");
    }
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

/// The next member of a list, up to its parameters: a String (RFC 9651, section 3.3.3). What that cannot hold is written
/// as in a Display String (section 3.3.8).
fn member(list: &mut String, name: &str) {
    if !list.is_empty() {
        list.push(',');
    }
    list.push('"');
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => list.extend(['\\', char::from(byte)]),
            b' '..=b'~' if byte != b'%' => list.push(char::from(byte)),
            _ => {
                let _ = write!(list, "%{byte:02x}");
            }
        }
    }
    list.push('"');
}
