//! How a store is closed: what was begun is finished, within the deadline, and then its tasks end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::sync::oneshot;

use super::stopwatch::within;
use crate::error::{StoreError, StoreErrorKind};

/// Held by a task, or by a job, for as long as it is to be waited for.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished(#[expect(dead_code, reason = "dropping it is its use")] Arc<oneshot::Sender<Infallible>>);

/// Completes when every clone of an [`Unfinished`] is gone.
#[derive(Clone, Debug)]
pub(crate) struct Finished(Shared<oneshot::Receiver<Infallible>>);

pub(crate) fn unfinished() -> (Unfinished, Finished) {
    let (sender, receiver) = oneshot::channel();
    (Unfinished(Arc::new(sender)), Finished(receiver.shared()))
}

impl Finished {
    /// Waits, but not longer than the deadline. Returns whether all is finished.
    pub(crate) async fn within(self, deadline: Duration) -> bool {
        within(deadline, self.0).await.is_some()
    }
}

/// The limiter was closed. That is an outage like any other, which is not logged for each check.
pub(crate) fn closed() -> StoreError {
    StoreError::new(StoreErrorKind::Closed, "the limiter was closed, and no longer asks the store").outage()
}
