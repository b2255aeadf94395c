//! What came of asking a store.

use std::time::Duration;

use super::Decisions;

/// What was decided after asking.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) decisions: Decisions,
    /// How long the store let us wait.
    pub(crate) waited: Duration,
}
