//! Where counts are kept.

#[cfg(feature = "_shared")]
mod job;
#[cfg(feature = "_shared")]
mod link;
pub(crate) mod memory;
#[cfg(feature = "_shared")]
mod outage;
#[cfg(feature = "_shared")]
mod pace;
#[cfg(feature = "_shared")]
mod queue;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "_shared")]
pub(crate) mod script;
#[cfg(feature = "_shared")]
pub(crate) mod shared;
#[cfg(feature = "_shared")]
mod stopwatch;
#[cfg(feature = "_shared")]
mod supervise;
#[cfg(feature = "upstash")]
pub(crate) mod upstash;
#[cfg(feature = "_shared")]
pub(crate) mod wait;

use smallvec::SmallVec;

use crate::algorithm::Verdict;

/// The verdicts on the checks of one request, in their order. More than two limits on one request are rare.
pub(crate) type Verdicts = SmallVec<[Verdict; 2]>;
