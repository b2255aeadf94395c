//! The stores: in this process (`memory`) or on a server (`remote`).

mod forget;
pub(crate) mod location;
pub(crate) mod memory;
#[cfg_attr(not(any(feature = "redis", feature = "upstash")), path = "no_remote.rs")]
pub(crate) mod remote;

use smallvec::SmallVec;

pub(crate) use forget::{Forget, Forgetting};

use crate::algorithm::Verdict;

/// The verdicts on the checks of one request, in the order of the checks. A request rarely has more than two limits.
pub(crate) type Verdicts = SmallVec<[Verdict; 2]>;
