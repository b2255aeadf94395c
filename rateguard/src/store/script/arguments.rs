//! How the script's arguments are written. The head of `script.lua` says what they mean.

use smallvec::SmallVec;

use super::{Group, Op, RedisCheck};
use crate::quota::{Algorithm, Quota};

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

/// Where arguments are written to: a command of some protocol.
pub(crate) trait Arguments {
    fn text(&mut self, text: &str);
    fn number(&mut self, number: u64);
}

/// What follows the script's name or text in a call: the number of keys, the keys, and the rest.
pub(crate) fn write(to: &mut impl Arguments, groups: &[&Group]) {
    to.number(groups.iter().map(|group| group.checks.len() as u64).sum());
    let checks = || groups.iter().flat_map(|group| &group.checks);
    for check in checks() {
        to.text(&check.key);
    }
    let mut quotas: SmallVec<[(&'static str, Quota); 8]> = SmallVec::new();
    for check in checks() {
        if !quotas.contains(&(check.form, check.quota)) {
            quotas.push((check.form, check.quota));
        }
    }
    to.number(quotas.len() as u64);
    for (form, quota) in &quotas {
        to.text(form);
        to.number(quota.limit().into());
        to.number(quota.window_micros());
        if quota.algorithm() == Algorithm::TokenBucket {
            time(to, quota, 1);
            time(to, quota, quota.capacity());
        }
    }
    let number = |check: &RedisCheck| {
        // Every one of them was put there just now.
        1 + quotas.iter().position(|known| *known == (check.form, check.quota)).unwrap_or_default() as u64
    };
    for group in groups {
        if let (Op::Check, [check @ RedisCheck { cost: 1, .. }]) = (group.op, group.checks.as_slice()) {
            to.number(number(check));
            continue;
        }
        let (what, receipt) = match group.op {
            Op::Check => ("check", None),
            Op::Peek => ("peek", None),
            Op::Refund(receipt) => ("refund", Some(receipt)),
            Op::Reset => ("reset", None),
        };
        to.text(what);
        to.number(group.checks.len() as u64);
        for check in &group.checks {
            to.number(number(check));
            to.number(check.cost.into());
            if check.quota.algorithm() == Algorithm::TokenBucket {
                time(to, &check.quota, check.cost);
            }
            match receipt {
                None => {}
                Some(Some(at)) if i64::try_from(at).is_ok() => to.number(at),
                Some(_) => to.text("-1"),
            }
        }
    }
}

fn time(to: &mut impl Arguments, quota: &Quota, units: u32) {
    let (micros, fraction) = quota.refill_time(units);
    to.number(micros);
    to.number(fraction);
}
