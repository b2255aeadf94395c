//! Chapters on single subjects.

#[doc = include_str!("security.md")]
pub mod security {}
