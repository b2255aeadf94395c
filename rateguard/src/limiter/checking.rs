//! A check that is under way: done at once in this process, asked for elsewhere.

use std::pin::Pin;
use std::time::Duration;

use super::Decisions;
use super::asked::Asked;
use super::settled::Settled;

pub(crate) enum Checking {
    Done(Decisions),
    Asked(Later),
}

impl Checking {
    pub(crate) async fn settled(self) -> Settled {
        match self {
            Checking::Done(decisions) => Settled { decisions, waited: Duration::ZERO },
            Checking::Asked(later) => later.await,
        }
    }
}

/// All that waits for an answer: in a box, so that a request which needs not wait carries no room for it.
pub(crate) type Later = Pin<Box<Asked>>;
