//! Waiting for a shared store, for as long as the deadline allows.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::pending::Pending;
use super::shared::task_ended;
use super::watch::Watch;
use super::{Decisions, RateGuard};
use crate::error::StoreError;
use crate::store::Verdicts;
use crate::store::script::Answer;

pin_project! {
    pub(crate) struct Asked {
        #[pin]
        answer: Answer<Verdicts>,
        #[pin]
        deadline: Sleep,
        limiter: RateGuard,
        pending: Option<Pending>,
        watch: Option<Watch>,
    }
}

impl Asked {
    pub(super) fn new(answer: Answer<Verdicts>, limiter: RateGuard, pending: Pending) -> Asked {
        let deadline = tokio::time::sleep(limiter.inner.settings.deadline);
        Asked { answer, deadline, limiter, pending: Some(pending), watch: None }
    }

    /// Who is to be told when it is decided.
    pub(super) fn watch(self: Pin<&mut Self>, watch: Watch) {
        *self.project().watch = Some(watch);
    }
}

impl Future for Asked {
    type Output = Decisions;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Decisions> {
        let this = self.project();
        let answer = match this.answer.poll(cx) {
            Poll::Ready(Ok(answer)) => answer,
            // The task went away with its runtime; it may have sent the call, so it is not sent again.
            Poll::Ready(Err(_)) => Err(task_ended()),
            Poll::Pending => match this.deadline.poll(cx) {
                Poll::Ready(()) => Err(StoreError::timed_out()),
                Poll::Pending => return Poll::Pending,
            },
        };
        let decisions = this.pending.take().map(|pending| pending.settle(this.limiter, answer)).unwrap_or_default();
        if let Some(watch) = this.watch.take() {
            watch.ended(this.limiter, &decisions);
        }
        Poll::Ready(decisions)
    }
}
