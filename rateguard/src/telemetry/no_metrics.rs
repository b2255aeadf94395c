//! The same functions without the feature `metrics`: nothing is measured.

use std::borrow::Cow;

use crate::error::StoreErrorKind;

#[inline]
pub(crate) fn describe() {}
#[inline]
pub(super) fn request(_: Cow<'static, str>, _: &'static str) {}
#[inline]
pub(crate) fn store_error(_: StoreErrorKind) {}
#[inline]
pub(crate) fn memory_overflow(_: u64) {}
#[inline]
pub(crate) fn identity_missing() {}
#[inline]
pub(crate) fn unreadable_header() {}

#[cfg(any(feature = "redis", feature = "upstash"))]
pub(super) mod remote {
    #[inline]
    pub(crate) fn breaker(_: &str, _: bool) {}
    #[inline]
    pub(crate) fn batch(_: usize) {}
}
