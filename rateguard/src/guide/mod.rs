//! Chapters on single subjects.

#[doc = include_str!("algorithms.md")]
pub mod algorithms {}

#[cfg(feature = "redis")]
#[doc = include_str!("outages.md")]
pub mod outages {}

#[doc = include_str!("security.md")]
pub mod security {}

#[cfg(feature = "test-util")]
#[doc = include_str!("testing.md")]
pub mod testing {}
