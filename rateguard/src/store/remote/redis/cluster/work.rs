//! The work of a cluster: jobs, which may go from node to node, and tasks that decide groups in several slots.

use std::sync::{PoisonError, RwLock};

use crate::error::StoreError;
use crate::store::remote::closing::{Finished, Unfinished, closed, unfinished};

/// Counts the work that has begun. New work can begin until this is closed.
#[derive(Debug)]
pub(super) struct Work {
    open: RwLock<Option<Unfinished>>,
    finished: Finished,
}

impl Work {
    pub(super) fn new() -> Work {
        let (unfinished, finished) = unfinished();
        Work { open: RwLock::new(Some(unfinished)), finished }
    }

    /// Begins a piece of work.
    pub(super) fn begin(&self) -> Result<Unfinished, StoreError> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)
    }

    /// No work begins from now on. The returned value tells when the work that has begun is finished.
    pub(super) fn close(&self) -> Finished {
        self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        self.finished.clone()
    }
}
