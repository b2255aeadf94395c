//! Where counts are kept.

#[cfg(feature = "redis")]
mod job;
#[cfg(feature = "redis")]
mod link;
pub(crate) mod memory;
#[cfg(feature = "redis")]
mod outage;
#[cfg(feature = "redis")]
mod pace;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "redis")]
pub(crate) mod script;

use smallvec::SmallVec;

use crate::algorithm::Verdict;

/// The verdicts on the checks of one request, in their order. More than two limits on one request are rare.
pub(crate) type Verdicts = SmallVec<[Verdict; 2]>;
