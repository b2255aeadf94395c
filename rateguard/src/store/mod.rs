//! Where counts are kept.

pub(crate) mod location;
pub(crate) mod memory;
#[cfg(feature = "_shared")]
pub(crate) mod remote;

use smallvec::SmallVec;

use crate::algorithm::Verdict;

/// The verdicts on the checks of one request, in their order. More than two limits on one request are rare.
pub(crate) type Verdicts = SmallVec<[Verdict; 2]>;
