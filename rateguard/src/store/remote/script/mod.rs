//! What a store that servers share is asked to do, and the script that does it: how its arguments are written and its
//! reply is read. Nothing here knows how they travel.

pub(crate) mod call;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod error_text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};

pub(crate) use call::{Call, Script};
pub(crate) use encode::{form, tag};

use crate::algorithm::Receipt;
use crate::quota::Quota;

/// One check, as Redis sees it.
#[derive(Clone, Debug)]
pub(crate) struct RedisCheck {
    pub(crate) key: String,
    pub(crate) quota: Quota,
    pub(crate) form: &'static str,
    pub(crate) cost: u32,
    /// Its refusal is none.
    pub(crate) shadow: bool,
}

/// Forgets the denials that this process remembers of a limit.
#[derive(Clone)]
pub(crate) struct Forget(Arc<dyn Fn() + Send + Sync>);

/// Does so once more when it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Forgetting(Forget);

impl Forget {
    pub(crate) fn new(forget: impl Fn() + Send + Sync + 'static) -> Forget {
        Forget(Arc::new(forget))
    }

    /// What is remembered is forgotten now, and what is learned meanwhile when the value goes.
    pub(crate) fn until_dropped(self) -> Forgetting {
        (self.0)();
        Forgetting(self)
    }
}

impl fmt::Debug for Forget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forget")
    }
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        (self.0.0)();
    }
}

/// What is to be done with a group of limits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Charge all of them, or none.
    Check,
    /// Say what a check would be answered.
    Peek,
    /// Give units back, against the receipt if there is one.
    Refund(Option<Receipt>),
    /// Forget them.
    Reset,
}

/// What a request asks for.
#[cfg_attr(feature = "upstash", derive(Clone))]
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) op: Op,
    pub(crate) checks: SmallVec<[RedisCheck; 1]>,
    /// Whether `check.lua` has handed it over.
    handed_over: bool,
    /// For each limit, in case that it is charged and given back. Empty where that cannot be.
    #[cfg(feature = "redis")]
    pub(super) forget: Vec<Forget>,
    /// Of a group that gives back.
    #[expect(dead_code, reason = "it acts when it is dropped")]
    forgetting: Option<Arc<Forgetting>>,
    #[cfg(feature = "redis")]
    pub(super) route: Route,
}

/// The way of a group through a cluster.
#[cfg(feature = "redis")]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Route {
    /// The slot that all of its keys are in.
    pub(super) slot: u16,
    /// How often a node has said that another is the one to ask.
    pub(super) hops: u8,
    /// Whether the node is to answer although the slot is not yet its own.
    pub(super) asking: bool,
    /// Whether it shares no call with others of its slot.
    pub(super) alone: bool,
}

impl Group {
    pub(crate) fn new(op: Op, checks: SmallVec<[RedisCheck; 1]>) -> Group {
        Group {
            op,
            checks,
            handed_over: false,
            #[cfg(feature = "redis")]
            forget: Vec::new(),
            forgetting: None,
            #[cfg(feature = "redis")]
            route: Route::default(),
        }
    }

    /// This group gives units back, or may: the limit's denials are forgotten now, and when it has ended.
    pub(crate) fn forgetting(self, forget: Forget) -> Group {
        Group { forgetting: Some(Arc::new(forget.until_dropped())), ..self }
    }

    /// How to forget the denials of each limit, if it is given back after it was charged.
    #[cfg(feature = "redis")]
    pub(crate) fn forget_each(self, forget: Vec<Forget>) -> Group {
        Group { forget, ..self }
    }

    /// Deletes a key that nobody has, to see whether the server runs the script and would write. What stands between the
    /// key's braces is no client's identity: that has a colon, but for `global`.
    pub(crate) fn probe(prefix: &str, tag: &str) -> Group {
        let check = RedisCheck {
            key: format!("{prefix}:{{{tag}}}:rateguard:sw2"),
            quota: Quota::sliding_window(1, Duration::from_secs(1)),
            form: "z",
            cost: 0,
            shadow: false,
        };
        Group::new(Op::Reset, smallvec![check])
    }

    /// The script that is to decide it.
    pub(crate) fn script(&self) -> Script {
        let simple = matches!(self.op, Op::Check) && self.checks.iter().all(|check| check.cost == 1);
        if simple && !self.handed_over && self.checks.len() <= call::MOST { Script::Check } else { Script::Whole }
    }

    /// `check.lua` has not done it and never will.
    pub(crate) fn hand_over(&mut self) {
        self.handed_over = true;
    }
}
