//! Waiting for a shared store.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::RateGuard;
use super::pending::Pending;
use super::report::Watch;
use super::settled::Settled;
use crate::store::Verdicts;
use crate::store::remote::wait::Wait;

pin_project! {
    pub(crate) struct Asked {
        #[pin]
        answer: Wait<Verdicts>,
        limiter: RateGuard,
        pending: Pending,
        watch: Option<Watch>,
    }
}

impl Asked {
    pub(super) fn new(answer: Wait<Verdicts>, limiter: RateGuard, pending: Pending) -> Asked {
        Asked { answer, limiter, pending, watch: None }
    }

    /// Who is to be told when it is decided.
    pub(super) fn watch(self: Pin<&mut Self>, watch: Watch) {
        *self.project().watch = Some(watch);
    }
}

impl Future for Asked {
    type Output = Settled;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Settled> {
        let this = self.project();
        let told = ready!(this.answer.poll(cx));
        let decisions = this.pending.settle(this.limiter, told.result);
        if let Some(watch) = this.watch.take() {
            watch.ended(this.limiter, &decisions);
        }
        Poll::Ready(Settled { decisions, waited: told.waited })
    }
}
