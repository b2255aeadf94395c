//! What one call of a script decides: groups of limits.

use std::sync::Arc;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};

use crate::algorithm::Receipt;
use crate::quota::{Algorithm, Quota};
use crate::store::{Forget, Forgetting};

/// A check of one limit.
#[derive(Clone, Debug)]
pub(crate) struct RemoteCheck {
    pub(crate) key: String,
    pub(crate) quota: Quota,
    pub(crate) cost: u32,
    pub(crate) shadow: bool,
    pub(crate) compact: bool,
    pub(crate) forget: Option<Forget>,
}

/// What to do with a group of limits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Charge all of them, or none.
    Check,
    /// Say what a check would be answered.
    Peek,
    /// Give units back, by the receipt if there is one.
    Refund(Option<Receipt>),
    /// Delete the counts.
    Reset,
}

/// Limits that are decided together.
#[cfg_attr(feature = "upstash", derive(Clone))]
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) op: Op,
    pub(crate) checks: SmallVec<[RemoteCheck; 1]>,
    /// Whether `check.lua` has handed it over to `whole.lua`.
    pub(super) is_handed_over: bool,
    /// Forgets cached denials when the units have been given back.
    #[expect(dead_code, reason = "it acts when it is dropped")]
    forgetting: SmallVec<[Arc<Forgetting>; 1]>,
    #[cfg(feature = "redis")]
    pub(crate) route: Route,
}

/// The way of a group through a cluster.
#[cfg(feature = "redis")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Route {
    /// The slot of all its keys.
    pub(crate) slot: u16,
    /// How often a node has redirected it.
    pub(crate) hops: u8,
    /// Whether the node is asked while it is still importing the slot (`ASKING`).
    pub(crate) asking: bool,
    /// Whether it shares no call with other groups of its slot.
    pub(crate) alone: bool,
}

impl RemoteCheck {
    /// `key` is the prefix, the key in braces, and the policy; the tag of the algorithm is added here.
    pub(crate) fn new(mut key: String, quota: Quota, cost: u32) -> RemoteCheck {
        key.push(':');
        key.push_str(tag(quota.algorithm()));
        RemoteCheck { key, quota, cost, shadow: false, compact: false, forget: None }
    }

    /// Counted, never denied.
    pub(crate) fn shadow(self, shadow: bool) -> RemoteCheck {
        RemoteCheck { shadow, ..self }
    }

    /// Keeps the log of a small limit in the compact form as well, not as a sorted set.
    pub(crate) fn compact(self, compact: bool) -> RemoteCheck {
        RemoteCheck { compact, ..self }
    }

    /// Forgets the limit's cached denials when units are given back.
    pub(crate) fn forgetting(self, forget: Forget) -> RemoteCheck {
        RemoteCheck { forget: Some(forget), ..self }
    }
}

/// The last part of a key. Different algorithms, and releases with different formats, never share a key: the number goes up
/// with every change of a format.
fn tag(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::SlidingWindow => "sw2",
        Algorithm::SlidingCounter => "sc2",
        Algorithm::FixedWindow => "fw2",
        Algorithm::TokenBucket => "tb2",
    }
}

impl Group {
    pub(crate) fn new(op: Op, checks: SmallVec<[RemoteCheck; 1]>) -> Group {
        let forgetting = match op {
            Op::Check | Op::Peek => SmallVec::new(),
            Op::Refund(_) | Op::Reset => {
                checks.iter().filter_map(|check| Some(Arc::new(check.forget.clone()?.until_dropped()))).collect()
            }
        };
        Group {
            op,
            checks,
            is_handed_over: false,
            forgetting,
            #[cfg(feature = "redis")]
            route: Route::default(),
        }
    }

    pub(crate) fn check(checks: SmallVec<[RemoteCheck; 1]>) -> Group {
        Group::new(Op::Check, checks)
    }

    pub(crate) fn peek(check: RemoteCheck) -> Group {
        Group::new(Op::Peek, smallvec![check])
    }

    pub(crate) fn refund(check: RemoteCheck, receipt: Option<Receipt>) -> Group {
        Group::new(Op::Refund(receipt), smallvec![check])
    }

    pub(crate) fn reset(check: RemoteCheck) -> Group {
        Group::new(Op::Reset, smallvec![check])
    }

    /// Deletes a key that does not exist, to find out whether the server runs the scripts and accepts writes. No client's
    /// key can be the text between the braces: every key but `global` contains a colon.
    pub(crate) fn probe(prefix: &str, tag: &str) -> Group {
        let quota = Quota::sliding_window(1, Duration::from_secs(1));
        Group::reset(RemoteCheck::new(format!("{prefix}:{{{tag}}}:rateguard"), quota, 0))
    }

    /// `check.lua` has not decided it; `whole.lua` will.
    pub(crate) fn hand_over(&mut self) {
        self.is_handed_over = true;
    }
}
