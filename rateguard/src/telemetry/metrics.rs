//! The metrics, through the `metrics` facade.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::metrics::{SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::error::StoreErrorKind;

const REQUESTS: &str = "rateguard_requests_total";
const CHECK_DURATION: &str = "rateguard_check_duration_seconds";
const STORE_ERRORS: &str = "rateguard_store_errors_total";
const BREAKER_OPEN: &str = "rateguard_breaker_open";
const BATCH_SIZE: &str = "rateguard_batch_size";
const MEMORY_KEYS: &str = "rateguard_memory_keys";
const MEMORY_OVERFLOW: &str = "rateguard_memory_overflow_total";
const DENY_CACHE_ENTRIES: &str = "rateguard_deny_cache_entries";
const IDENTITY_FALLBACKS: &str = "rateguard_identity_fallbacks_total";
const UNREADABLE_HEADERS: &str = "rateguard_unreadable_client_headers_total";

/// How many policy names made at run time can be labels.
const NAMES: usize = 1000;
const OTHER: &str = "other";

/// Describes the metrics to the recorder, if one is installed by now.
pub(crate) fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Requests by policy and by what it decided");
    describe_histogram!(CHECK_DURATION, Unit::Seconds, "Time of a check that asked the shared store");
    describe_counter!(STORE_ERRORS, Unit::Count, "Checks and refunds that the store did not answer, by reason");
    describe_gauge!(BREAKER_OPEN, "1 while a server is not asked because it does not answer, else 0");
    describe_histogram!(BATCH_SIZE, Unit::Count, "Requests decided by one call to the shared store");
    describe_gauge!(MEMORY_KEYS, Unit::Count, "Keys counted in this process");
    describe_counter!(MEMORY_OVERFLOW, Unit::Count, "Checks of clients that a full memory store had no place for");
    describe_gauge!(DENY_CACHE_ENTRIES, Unit::Count, "Denials remembered in this process");
    describe_counter!(IDENTITY_FALLBACKS, Unit::Count, "Requests counted by address because their key was missing");
    describe_counter!(UNREADABLE_HEADERS, Unit::Count, "Proxied requests whose client address could not be read");
}

pub(super) fn request(policy: Cow<'static, str>, outcome: &'static str) {
    counter!(REQUESTS, "policy" => label(policy), "outcome" => outcome).increment(1);
}

pub(super) fn check_took(time: Duration) {
    histogram!(CHECK_DURATION).record(time.as_secs_f64());
}

pub(crate) fn store_error(reason: StoreErrorKind) {
    counter!(STORE_ERRORS, "reason" => reason.as_str()).increment(1);
}

#[cfg(any(feature = "redis", feature = "upstash"))]
pub(super) mod remote {
    use metrics::{gauge, histogram};

    pub(crate) fn breaker(server: &str, open: bool) {
        gauge!(super::BREAKER_OPEN, "server" => server.to_owned()).set(if open { 1.0 } else { 0.0 });
    }

    pub(crate) fn batch(requests: usize) {
        histogram!(super::BATCH_SIZE).record(f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
    }
}

pub(crate) fn memory_keys(keys: usize) {
    gauge!(MEMORY_KEYS).set(f64::from(u32::try_from(keys).unwrap_or(u32::MAX)));
}

pub(crate) fn memory_overflow(checks: u64) {
    counter!(MEMORY_OVERFLOW).increment(checks);
}

pub(crate) fn deny_cache_entries(entries: usize) {
    gauge!(DENY_CACHE_ENTRIES).set(f64::from(u32::try_from(entries).unwrap_or(u32::MAX)));
}

pub(crate) fn identity_missing() {
    counter!(IDENTITY_FALLBACKS).increment(1);
}

pub(crate) fn unreadable_header() {
    counter!(UNREADABLE_HEADERS).increment(1);
}

/// A policy's name as a label. Names written in the program are always labels. Of names made at run time, perhaps from what
/// clients send, only the first [`NAMES`] are; the others share one label.
fn label(policy: Cow<'static, str>) -> SharedString {
    static MADE: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let name = match policy {
        Cow::Borrowed(name) => return SharedString::const_str(name),
        Cow::Owned(name) => name,
    };
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let made = made.get_or_insert_default();
    if !made.contains(&name) {
        if made.len() == NAMES {
            return SharedString::const_str(OTHER);
        }
        made.insert(name.clone());
    }
    SharedString::from_owned(name)
}
