//! Where counts are kept.

#[cfg(any(feature = "redis", feature = "upstash"))]
mod job;
#[cfg(any(feature = "redis", feature = "upstash"))]
mod link;
pub(crate) mod memory;
#[cfg(any(feature = "redis", feature = "upstash"))]
mod outage;
#[cfg(any(feature = "redis", feature = "upstash"))]
mod pace;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(any(feature = "redis", feature = "upstash"))]
pub(crate) mod script;
#[cfg(any(feature = "redis", feature = "upstash"))]
pub(crate) mod shared;
#[cfg(any(feature = "redis", feature = "upstash"))]
mod supervise;
#[cfg(feature = "upstash")]
pub(crate) mod upstash;

use smallvec::SmallVec;

use crate::algorithm::Verdict;

/// The verdicts on the checks of one request, in their order. More than two limits on one request are rare.
pub(crate) type Verdicts = SmallVec<[Verdict; 2]>;
