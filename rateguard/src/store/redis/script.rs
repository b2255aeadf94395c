//! The script, and how its arguments are written.

use redis::{Cmd, RedisError};

use super::RedisCheck;
use crate::quota::{Algorithm, Quota};

pub(super) const SCRIPT: &str = include_str!("script.lua");

/// Up to here a window's log is a sorted set, which Redis keeps compact to this size and no further.
const SORTED_SET: u32 = 128;
/// Up to here it is one packed string; beyond, writing the whole string costs more than a list's extra commands.
const PACKED: u32 = 512;

/// The script's name for a form of a rule.
fn kind(quota: &Quota) -> &'static str {
    match quota.algorithm() {
        Algorithm::SlidingCounter => "c",
        Algorithm::FixedWindow => "f",
        Algorithm::TokenBucket => "b",
        Algorithm::SlidingWindow if quota.limit() <= SORTED_SET => "z",
        Algorithm::SlidingWindow if quota.limit() <= PACKED => "p",
        Algorithm::SlidingWindow => "l",
    }
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

/// A call of the script by its hash, or with its text.
pub(super) fn call(sha: Option<&str>, groups: &[&[RedisCheck]]) -> Cmd {
    let mut cmd = redis::cmd(if sha.is_some() { "EVALSHA" } else { "EVAL" });
    cmd.arg(sha.unwrap_or(SCRIPT));
    cmd.arg(groups.iter().map(|group| group.len()).sum::<usize>());
    for check in groups.iter().copied().flatten() {
        cmd.arg(&check.key);
    }
    for group in groups {
        cmd.arg(group.len());
        for check in *group {
            let quota = &check.quota;
            cmd.arg(kind(quota)).arg(quota.limit()).arg(quota.window_micros()).arg(check.cost);
            if quota.algorithm() == Algorithm::TokenBucket {
                for units in [check.cost, quota.capacity()] {
                    let (micros, fraction) = quota.refill_time(units);
                    cmd.arg(micros).arg(fraction);
                }
            }
        }
    }
    cmd
}

/// Whether the server has not seen the script yet, and so has not run it.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}
