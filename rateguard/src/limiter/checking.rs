//! A check that is under way: done at once in this process, asked for elsewhere.

use std::pin::Pin;

use super::Decisions;
#[cfg(feature = "_shared")]
use super::asked::Asked;

/// Without a shared store, nobody is ever asked.
#[cfg(not(feature = "_shared"))]
pub(crate) type Asked = std::future::Pending<Decisions>;

pub(crate) enum Checking {
    Done(Decisions),
    Asked(Later),
}

impl Checking {
    pub(crate) async fn decisions(self) -> Decisions {
        match self {
            Checking::Done(decisions) => decisions,
            Checking::Asked(later) => later.await,
        }
    }
}

/// All that waits for an answer: in a box, so that a request which needs not wait carries no room for it.
pub(crate) type Later = Pin<Box<Asked>>;
