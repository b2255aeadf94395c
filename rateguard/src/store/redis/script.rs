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
        _ if quota.limit() <= SORTED_SET => "z",
        _ if quota.limit() <= PACKED => "p",
        _ => "l",
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
pub(super) fn call<'a>(sha: Option<&str>, groups: impl Iterator<Item = &'a [RedisCheck]> + Clone) -> Cmd {
    let mut cmd = match sha {
        Some(sha) => {
            let mut cmd = redis::cmd("EVALSHA");
            cmd.arg(sha);
            cmd
        }
        None => {
            let mut cmd = redis::cmd("EVAL");
            cmd.arg(SCRIPT);
            cmd
        }
    };
    cmd.arg(groups.clone().map(<[_]>::len).sum::<usize>());
    for check in groups.clone().flatten() {
        cmd.arg(&check.key);
    }
    for group in groups {
        cmd.arg(group.len());
        for check in group {
            cmd.arg(kind(&check.quota)).arg(check.quota.limit()).arg(check.quota.window_micros()).arg(check.cost);
        }
    }
    cmd
}

/// Whether the server has not seen the script yet, and so has not run it.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}
