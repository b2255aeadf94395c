//! How many units a request takes.

use axum::http::request::Parts;

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
