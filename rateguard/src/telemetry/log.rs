//! The log lines, through `tracing`, under the target `rateguard`.
//!
//! `guide/metrics_and_logs.md` has a table of them with their fields. The lines about connections and outages are in
//! `store/remote`.

use std::panic::Location;

use crate::clock::whole_seconds;
use crate::decision::Decision;
use crate::error::{StoreError, StoreErrorKind};
use crate::quota::Quota;

/// Whether a subscriber wants the event of a denial. Without one, it is not formatted.
pub(crate) fn wants_denials() -> bool {
    tracing::enabled!(target: "rateguard", tracing::Level::DEBUG)
}

/// A limit denied a request, or would have denied it but is in shadow mode. `identity` is a hash, so the log does not
/// contain the key.
pub(crate) fn denied(decision: &Decision, key_kind: &str, identity: &str) {
    tracing::debug!(
        target: "rateguard",
        policy = decision.policy(),
        key_kind,
        identity,
        limit = decision.limit(),
        retry_after = decision.retry_after().map(|wait| whole_seconds(wait).max(1)),
        shadow = decision.is_shadow(),
        from_deny_cache = decision.is_from_deny_cache(),
        degraded = decision.degraded_reason().map(StoreErrorKind::as_str),
        "rateguard: denied"
    );
}

/// The store is up, but did not count these checks.
pub(crate) fn not_counted(error: &StoreError, checks: u64) {
    tracing::warn!(
        target: "rateguard",
        reason = error.kind().as_str(),
        error = %error,
        checks,
        "rateguard: checks were not counted by the store; this process counts them, or denies them where the policy is closed"
    );
}

/// Clients had no place in the memory store.
pub(crate) fn memory_full(max_keys: usize, checks: u64) {
    tracing::warn!(
        target: "rateguard",
        max_keys,
        checks,
        "rateguard: the memory store is full. Clients without a slot are counted together, so some may be denied too \
         early; none is allowed too much. If these are real clients and not a flood of invented keys, raise max_keys: a \
         thousand more keys take about 0.3 MB"
    );
}

/// The program closes a limiter.
pub(crate) fn closing(store: &impl std::fmt::Debug) {
    tracing::info!(
        target: "rateguard",
        ?store,
        "rateguard: the limiter is closed; from now on the failure policy decides"
    );
}

/// A quota was overridden. `known`: whether a policy of this name has been seen.
pub(crate) fn quota_set(policy: &str, quota: Quota, known: bool) {
    tracing::info!(target: "rateguard", policy, %quota, known, "rateguard: a quota was set");
}

/// A quota was set for a policy that takes its quota from each request.
pub(crate) fn quota_by_request(policy: &str, quota: Quota) {
    tracing::warn!(
        target: "rateguard",
        policy,
        %quota,
        "rateguard: a quota was set for a policy whose quota each request decides, so it does not apply"
    );
}

/// An override was removed.
pub(crate) fn quota_unset(policy: &str) {
    tracing::info!(target: "rateguard", policy, "rateguard: the quota in the program applies again");
}

/// Overrides name policies that have not been seen.
pub(crate) fn unknown_policies(unknown: &[String], known: &[String]) {
    tracing::warn!(
        target: "rateguard",
        unknown = %unknown.join(", "),
        known = %known.join(", "),
        "rateguard: quotas are set for names that no known policy has: check the names. (A handler's policy is known \
         from its first request on.)"
    );
}

/// Two places in the program give one policy different quotas.
pub(crate) fn contradiction(policy: &str, quotas: [(Quota, &Location<'_>); 2]) {
    let [(quota, first), (other, second)] = quotas;
    tracing::error!(
        target: "rateguard",
        policy,
        "rateguard: the policy {policy} has the quota {quota} at {first}, and {other} at {second}. Both count in one \
         bucket, so requests under one of them are also counted under the other: use one quota, or two names. If the \
         quota depends on the client, let the limit compute it: `quota = …` or HttpLimit::quota_by"
    );
}
