//! What a limit may compute for a request: its cost, its limit, its quota.

use axum::http::request::Parts;

use crate::quota::Quota;

/// A number of units, of any integer type. Less than 1 counts as 1: a request that costs nothing is written `skip`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a cost",
    label = "not an integer",
    note = "the cost of a request is an integer, such as `cost = body.items.len()`"
)]
pub trait ToCost {
    /// The units, from 1 to `u32::MAX`.
    fn to_cost(self) -> u32;
}

/// A limit: an integer of any type, or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a limit",
    label = "not an integer",
    note = "a limit is an integer, such as `limit = user.plan.per_minute()`, or an `Option` of one: `None` does not limit the request",
    note = "for a whole quota, write `quota = …` in place of `limit` and `window`"
)]
pub trait ToLimit {
    /// The units that a window allows; 0 or less allows nothing. `None`: the request is not limited here.
    fn to_limit(self) -> Option<u32>;
}

/// A [`Quota`], or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a quota",
    label = "not a quota",
    note = "a quota is a `rateguard::Quota`, such as `Quota::per_minute(100)`, or an `Option` of one: `None` does not limit the request",
    note = "a text is written alone, such as `quota = \"5/60s\"`; a number is a limit: `limit = …, window = …`"
)]
pub trait ToQuota {
    /// The quota. `None`: the request is not limited here.
    fn to_quota(self) -> Option<Quota>;
}

macro_rules! integers {
    ($($integer:ty)+) => {$(
        impl ToCost for $integer {
            fn to_cost(self) -> u32 {
                #[allow(irrefutable_let_patterns, unused_comparisons, clippy::absurd_extreme_comparisons, reason = "one text for signed and unsigned")]
                if self <= 0 { 1 } else { u32::try_from(self).unwrap_or(u32::MAX) }
            }
        }
        impl ToCost for &$integer {
            fn to_cost(self) -> u32 {
                (*self).to_cost()
            }
        }
        impl ToLimit for $integer {
            fn to_limit(self) -> Option<u32> {
                #[allow(irrefutable_let_patterns, unused_comparisons, clippy::absurd_extreme_comparisons, reason = "one text for signed and unsigned")]
                if self <= 0 { Some(0) } else { Some(u32::try_from(self).unwrap_or(u32::MAX)) }
            }
        }
        impl ToLimit for &$integer {
            fn to_limit(self) -> Option<u32> {
                (*self).to_limit()
            }
        }
    )+};
}
integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

impl<L: ToLimit> ToLimit for Option<L> {
    fn to_limit(self) -> Option<u32> {
        self?.to_limit()
    }
}

impl ToQuota for Quota {
    fn to_quota(self) -> Option<Quota> {
        Some(self)
    }
}

impl ToQuota for &Quota {
    fn to_quota(self) -> Option<Quota> {
        Some(*self)
    }
}

impl<Q: ToQuota> ToQuota for Option<Q> {
    fn to_quota(self) -> Option<Quota> {
        self?.to_quota()
    }
}

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_cost<'a, C: ToCost>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> C) -> u32 {
    closure(parts).to_cost()
}

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_skip<'a>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> bool) -> bool {
    closure(parts)
}

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_limit<'a, L: ToLimit>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> L) -> Option<u32> {
    closure(parts).to_limit()
}

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_quota<'a, Q: ToQuota>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> Q) -> Option<Quota> {
    closure(parts).to_quota()
}
