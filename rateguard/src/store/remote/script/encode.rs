//! How the scripts' arguments are written. `head.lua`, `check.lua` and `whole.lua` say what they mean.

use smallvec::SmallVec;

use super::{Group, Op, RedisCheck};
use crate::quota::{Algorithm, Quota};

/// Up to here a window's log is a sorted set, which Redis keeps compact up to 128 members: one for each unit, and one that
/// says the window.
const SORTED_SET: u32 = 127;

/// The script's name for a rule, and for the form that its count is kept in.
///
/// In capitals for a shadow, whose refusal is none.
pub(crate) fn form(quota: &Quota, compact: bool, shadow: bool) -> &'static str {
    let (enforced, shadowed) = match quota.algorithm() {
        Algorithm::SlidingCounter => ("c", "C"),
        Algorithm::FixedWindow => ("f", "F"),
        Algorithm::TokenBucket => ("b", "B"),
        Algorithm::SlidingWindow if quota.limit() <= SORTED_SET && !compact => ("z", "Z"),
        Algorithm::SlidingWindow => ("l", "L"),
    };
    if shadow { shadowed } else { enforced }
}

/// The last part of a key: keys of different algorithms never meet, nor do those of releases that write them
/// differently. The number goes up with every change of a format.
pub(crate) fn tag(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::SlidingWindow => "sw2",
        Algorithm::SlidingCounter => "sc2",
        Algorithm::FixedWindow => "fw2",
        Algorithm::TokenBucket => "tb2",
    }
}

/// Where arguments are written to: a command of some protocol.
pub(crate) trait Arguments {
    fn text(&mut self, text: &str);
    fn number(&mut self, number: u64);
}

/// The different quotas of a call, with the forms that they are kept in.
pub(super) struct Quotas(SmallVec<[(&'static str, Quota); 4]>);

/// The quotas of these groups.
pub(super) fn quotas<'g>(groups: impl Iterator<Item = &'g Group>) -> Quotas {
    let mut quotas = Quotas(SmallVec::new());
    for check in groups.flat_map(|group| &group.checks) {
        if !quotas.0.contains(&(check.form, check.quota)) {
            quotas.0.push((check.form, check.quota));
        }
    }
    quotas
}

impl Quotas {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Which of them it is, from 0.
    fn number(&self, check: &RedisCheck) -> usize {
        // Every one of them was put there.
        self.0.iter().position(|known| *known == (check.form, check.quota)).unwrap_or_default()
    }

    fn write(&self, to: &mut impl Arguments) {
        for (form, quota) in &self.0 {
            to.text(form);
            to.number(quota.limit().into());
            to.number(quota.window_micros());
            if quota.algorithm() == Algorithm::TokenBucket {
                time(to, quota, 1);
                time(to, quota, quota.capacity());
            }
        }
    }
}

fn keys<'g>(to: &mut impl Arguments, groups: impl Iterator<Item = &'g Group> + Clone) {
    to.number(groups.clone().map(|group| group.checks.len() as u64).sum());
    for check in groups.flat_map(|group| &group.checks) {
        to.text(&check.key);
    }
}

/// What follows the text or the name of `check.lua` in a call, of groups that so many requests ask for.
pub(super) fn write_check(to: &mut impl Arguments, operations: &[(&Group, usize)]) {
    let groups = operations.iter().map(|(group, _)| *group);
    keys(to, groups.clone());
    let quotas = quotas(groups);
    let mut plan = String::with_capacity(3 * operations.len());
    for (group, units) in operations {
        match group.checks.len() {
            1 if *units == 1 => {}
            1 => plan.extend(['+', character(*units)]),
            limits => plan.extend(['&', character(limits)]),
        }
        plan.extend(group.checks.iter().map(|check| character(quotas.number(check))));
    }
    to.text(&plan);
    quotas.write(to);
}

/// The character so many places after `0`.
fn character(number: usize) -> char {
    u8::try_from(number).map_or('0', |number| char::from(b'0'.saturating_add(number)))
}

/// What follows the text or the name of `whole.lua` in a call: the number of keys, the keys, and the rest.
pub(crate) fn write(to: &mut impl Arguments, groups: &[&Group]) {
    keys(to, groups.iter().copied());
    let quotas = quotas(groups.iter().copied());
    to.number(quotas.len() as u64);
    quotas.write(to);
    for group in groups {
        let (what, receipt) = match group.op {
            Op::Check => ("check", None),
            Op::Peek => ("peek", None),
            Op::Refund(receipt) => ("refund", Some(receipt)),
            Op::Reset => ("reset", None),
        };
        to.text(what);
        to.number(group.checks.len() as u64);
        for check in &group.checks {
            to.number(1 + quotas.number(check) as u64);
            to.number(check.cost.into());
            if check.quota.algorithm() == Algorithm::TokenBucket {
                time(to, &check.quota, check.cost);
            }
            match receipt {
                None => {}
                Some(Some(receipt)) if i64::try_from(receipt.at).is_ok() => to.number(receipt.at),
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
