//! The script, and how its arguments are written.

use redis::{Cmd, RedisError};
use smallvec::SmallVec;

use super::{Group, Op, RedisCheck};
use crate::quota::{Algorithm, Quota};

pub(super) const SCRIPT: &str = include_str!("script.lua");

/// Up to here a window's log is a sorted set, which Redis keeps compact to this size and no further.
const SORTED_SET: u32 = 128;
/// Up to here it is one packed string; beyond, writing the whole string costs more than a list's extra commands.
const PACKED: u32 = 512;

/// The script's name for a rule, and for the form that its count is kept in.
///
/// In capitals for a shadow, whose refusal is none.
pub(crate) fn form(quota: &Quota, compact: bool, shadow: bool) -> &'static str {
    let (enforced, shadowed) = match quota.algorithm() {
        Algorithm::SlidingCounter => ("c", "C"),
        Algorithm::FixedWindow => ("f", "F"),
        Algorithm::TokenBucket => ("b", "B"),
        Algorithm::SlidingWindow if quota.limit() <= SORTED_SET && !compact => ("z", "Z"),
        Algorithm::SlidingWindow if quota.limit() <= PACKED => ("p", "P"),
        Algorithm::SlidingWindow => ("l", "L"),
    };
    if shadow { shadowed } else { enforced }
}

/// The last part of a key: keys of different algorithms never meet.
pub(crate) fn tag(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::SlidingWindow => "sw",
        Algorithm::SlidingCounter => "sc",
        Algorithm::FixedWindow => "fw",
        Algorithm::TokenBucket => "tb",
    }
}

/// A call of the script by its hash, or with its text. The head of `script.lua` says how its arguments are written.
pub(super) fn call(sha: Option<&str>, groups: &[&Group]) -> Cmd {
    let mut cmd = redis::cmd(if sha.is_some() { "EVALSHA" } else { "EVAL" });
    cmd.arg(sha.unwrap_or(SCRIPT));
    cmd.arg(groups.iter().map(|group| group.checks.len()).sum::<usize>());
    let checks = || groups.iter().flat_map(|group| &group.checks);
    for check in checks() {
        cmd.arg(&check.key);
    }
    let mut quotas: SmallVec<[(&'static str, Quota); 8]> = SmallVec::new();
    for check in checks() {
        if !quotas.contains(&(check.form, check.quota)) {
            quotas.push((check.form, check.quota));
        }
    }
    cmd.arg(quotas.len());
    for (form, quota) in &quotas {
        cmd.arg(form).arg(quota.limit()).arg(quota.window_micros());
        if quota.algorithm() == Algorithm::TokenBucket {
            time(&mut cmd, quota, 1);
            time(&mut cmd, quota, quota.capacity());
        }
    }
    let number = |check: &RedisCheck| {
        // Every one of them was put there just now.
        1 + quotas.iter().position(|known| *known == (check.form, check.quota)).unwrap_or_default()
    };
    for group in groups {
        if let (Op::Check, [check @ RedisCheck { cost: 1, .. }]) = (group.op, group.checks.as_slice()) {
            cmd.arg(number(check));
            continue;
        }
        let (what, receipt) = match group.op {
            Op::Check => ("check", None),
            Op::Peek => ("peek", None),
            Op::Refund(receipt) => ("refund", Some(receipt.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))),
            Op::Reset => ("reset", None),
        };
        cmd.arg(what).arg(group.checks.len());
        for check in &group.checks {
            cmd.arg(number(check)).arg(check.cost);
            if check.quota.algorithm() == Algorithm::TokenBucket {
                time(&mut cmd, &check.quota, check.cost);
            }
            if let Some(receipt) = receipt {
                cmd.arg(receipt);
            }
        }
    }
    cmd
}

fn time(cmd: &mut Cmd, quota: &Quota, units: u32) {
    let (micros, fraction) = quota.refill_time(units);
    cmd.arg(micros).arg(fraction);
}

/// Whether the server has not seen the script yet, and so has not run it.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}
