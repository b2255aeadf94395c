//! A check that is under way: done at once in this process, asked for elsewhere.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::Decisions;
#[cfg(feature = "redis")]
use super::asked::Asked;

/// Without a shared store, nobody is ever asked.
#[cfg(not(feature = "redis"))]
type Asked = std::future::Pending<Decisions>;

pin_project! {
    #[project = CheckingProjection]
    #[allow(clippy::large_enum_variant, reason = "boxing would cost every request an allocation")]
    pub(crate) enum Checking {
        Done { decisions: Option<Decisions> },
        Asked { #[pin] asked: Asked },
    }
}

impl Checking {
    pub(super) fn done(decisions: Decisions) -> Checking {
        Checking::Done { decisions: Some(decisions) }
    }

    /// The decisions, if nothing needs to be waited for.
    #[allow(clippy::result_large_err, reason = "the other half of one value, not an error")]
    pub(crate) fn now_or_later(self) -> Result<Decisions, Checking> {
        match self {
            Checking::Done { decisions } => Ok(decisions.unwrap_or_default()),
            later @ Checking::Asked { .. } => Err(later),
        }
    }
}

impl Future for Checking {
    type Output = Decisions;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Decisions> {
        match self.project() {
            CheckingProjection::Done { decisions } => Poll::Ready(decisions.take().unwrap_or_default()),
            CheckingProjection::Asked { asked } => asked.poll(cx),
        }
    }
}
