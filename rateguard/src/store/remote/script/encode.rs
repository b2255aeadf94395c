//! How the scripts' arguments are written. `head.lua`, `check.lua` and `whole.lua` say what they mean.

use smallvec::SmallVec;

use super::group::{Group, Op, RemoteCheck};
use crate::quota::{Algorithm, Quota};

/// Up to this limit, a window's log is a sorted set. Redis keeps sorted sets compact up to 128 members: one for each unit,
/// and one that holds the window.
const SORTED_SET: u32 = 127;

/// The scripts' letter for an algorithm and the form in which its count is kept; a capital in shadow mode.
fn form(check: &RemoteCheck) -> &'static str {
    let (enforced, shadow) = match check.quota.algorithm() {
        Algorithm::SlidingCounter => ("c", "C"),
        Algorithm::FixedWindow => ("f", "F"),
        Algorithm::TokenBucket => ("b", "B"),
        Algorithm::SlidingWindow if check.quota.limit() <= SORTED_SET && !check.compact => ("z", "Z"),
        Algorithm::SlidingWindow => ("l", "L"),
    };
    if check.shadow { shadow } else { enforced }
}

/// A command, to which arguments are added.
pub(crate) trait Arguments {
    /// Whether the reply can be a packed string. In JSON it cannot.
    const CAN_BE_PACKED: bool;

    fn text(&mut self, text: &str);
    fn number(&mut self, number: u64);
}

/// The different quotas of a call, with the form in which each is kept.
pub(super) struct Quotas(SmallVec<[(&'static str, Quota); 4]>);

pub(super) fn quotas<'g>(groups: impl Iterator<Item = &'g Group>) -> Quotas {
    let mut quotas = Quotas(SmallVec::new());
    for check in groups.flat_map(|group| &group.checks) {
        if !quotas.0.contains(&(form(check), check.quota)) {
            quotas.0.push((form(check), check.quota));
        }
    }
    quotas
}

impl Quotas {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The index of the check's quota.
    fn number(&self, check: &RemoteCheck) -> usize {
        // It was put there.
        self.0.iter().position(|known| *known == (form(check), check.quota)).unwrap_or_default()
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

/// The number of keys, and the keys.
fn keys<'g>(to: &mut impl Arguments, groups: impl Iterator<Item = &'g Group> + Clone) {
    to.number(groups.clone().map(|group| group.checks.len() as u64).sum());
    for check in groups.flat_map(|group| &group.checks) {
        to.text(&check.key);
    }
}

/// The arguments of `check.lua`: groups, and how many requests share each. Undeclared, the keys are ordinary arguments, so that
/// they need not be of one slot.
pub(super) fn write_check<A: Arguments>(to: &mut A, operations: &[(&Group, usize)], undeclared: bool) {
    let groups = operations.iter().map(|(group, _)| *group);
    if undeclared {
        to.number(0);
    } else {
        keys(to, groups.clone());
    }
    let quotas = quotas(groups.clone());
    let mut plan = String::with_capacity(3 * operations.len() + 1);
    if A::CAN_BE_PACKED {
        plan.push('!');
    }
    for (group, units) in operations {
        match group.checks.len() {
            1 if *units == 1 => {}
            1 => plan.extend(['+', character(*units)]),
            limits => plan.extend(['&', character(limits)]),
        }
        plan.extend(group.checks.iter().map(|check| character(quotas.number(check))));
    }
    to.text(&plan);
    if undeclared {
        keys(to, groups);
    }
    quotas.write(to);
}

/// The number as a character: `0` for 0, and so on.
fn character(number: usize) -> char {
    u8::try_from(number).map_or('0', |number| char::from(b'0'.saturating_add(number)))
}

/// The arguments of `whole.lua`.
pub(super) fn write_whole(to: &mut impl Arguments, groups: &[&Group]) {
    keys(to, groups.iter().copied());
    let quotas = quotas(groups.iter().copied());
    to.number(quotas.len() as u64);
    quotas.write(to);
    for group in groups {
        let (op, receipt) = match group.op {
            Op::Check => ("check", None),
            Op::Peek => ("peek", None),
            Op::Refund(receipt) => ("refund", Some(receipt)),
            Op::Reset => ("reset", None),
        };
        to.text(op);
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
