//! One limit of a handler, as the attribute wrote it down: all of it constant.

use axum::http::request::Parts;
use axum::response::Response;

use super::identity::KeySource;
use crate::policy::Policy;

/// A limit that a handler carries.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) policy: Policy,
    pub(crate) key: KeySource,
    pub(crate) cost: Cost,
    pub(crate) skip: Skip,
    pub(crate) refund_if: Option<fn(&Response) -> bool>,
}

/// What a request takes of the quota.
#[derive(Clone, Copy, Debug)]
pub enum Cost {
    /// Always the same. At least 1.
    Fixed(u32),
    /// Read from the request's head.
    Head(fn(&Parts) -> u32),
    /// Known once the handler's arguments are there.
    Late,
}

/// Whether a request passes uncounted.
#[derive(Clone, Copy, Debug)]
pub enum Skip {
    /// It never does.
    Never,
    /// Read from the request's head.
    Head(fn(&Parts) -> bool),
    /// Known once the handler's arguments are there.
    Late,
}

impl Rule {
    /// A limit at cost 1.
    pub const fn new(policy: Policy, key: KeySource) -> Rule {
        Rule { policy, key, cost: Cost::Fixed(1), skip: Skip::Never, refund_if: None }
    }

    /// What a request takes.
    pub const fn cost(mut self, cost: Cost) -> Rule {
        self.cost = cost;
        self
    }

    /// Which requests pass uncounted.
    pub const fn skip(mut self, skip: Skip) -> Rule {
        self.skip = skip;
        self
    }

    /// Which responses give the charge back. A request whose client hangs up before has no response, and stays charged.
    pub const fn refund_if(mut self, refund_if: fn(&Response) -> bool) -> Rule {
        self.refund_if = Some(refund_if);
        self
    }

    /// Whether it can only be decided once the handler's arguments are there.
    pub(crate) const fn is_late(&self) -> bool {
        self.key.is_late() || matches!(self.cost, Cost::Late) || matches!(self.skip, Skip::Late)
    }
}

/// A number of units, of any integer type. Less than 1 counts as 1: a request that costs nothing is written `skip`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a cost",
    label = "not an integer",
    note = "the cost of a request is an integer, such as `cost = body.items.len()`"
)]
pub trait IntoCost {
    /// The units, from 1 to `u32::MAX`.
    fn to_cost(self) -> u32;
}

macro_rules! into_cost {
    ($($integer:ty)+) => {$(
        impl IntoCost for $integer {
            fn to_cost(self) -> u32 {
                #[allow(irrefutable_let_patterns, unused_comparisons, clippy::absurd_extreme_comparisons, reason = "one text for signed and unsigned")]
                if self <= 0 { 1 } else { u32::try_from(self).unwrap_or(u32::MAX) }
            }
        }
        impl IntoCost for &$integer {
            fn to_cost(self) -> u32 {
                (*self).to_cost()
            }
        }
    )+};
}
into_cost!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_cost<'a, C: IntoCost>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> C) -> u32 {
    closure(parts).to_cost()
}

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_skip<'a>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> bool) -> bool {
    closure(parts)
}
