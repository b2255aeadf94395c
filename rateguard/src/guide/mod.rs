//! The guide: one chapter per subject.

#[doc = include_str!("algorithms.md")]
pub mod algorithms {}

#[doc = include_str!("choosing.md")]
pub mod choosing {}

#[doc = include_str!("faq.md")]
pub mod faq {}

// Its programs need tonic.
#[cfg_attr(any(feature = "tonic", not(doctest)), doc = include_str!("grpc.md"))]
pub mod grpc {}

#[doc = include_str!("handlers_that_block.md")]
pub mod handlers_that_block {}

#[doc = include_str!("mistakes_of_others.md")]
pub mod mistakes_of_others {}

#[doc = include_str!("operations.md")]
pub mod operations {}

#[doc = include_str!("outages.md")]
pub mod outages {}

#[doc = include_str!("recipes.md")]
pub mod recipes {}

#[doc = include_str!("scale.md")]
pub mod scale {}

#[doc = include_str!("security.md")]
pub mod security {}

#[doc = include_str!("support_desk.md")]
pub mod support_desk {}

#[cfg(feature = "test-util")]
#[doc = include_str!("testing.md")]
pub mod testing {}
