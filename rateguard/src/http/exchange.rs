//! What the layer and the guards of one request share.

use std::sync::{Arc, Mutex, PoisonError};

use axum::response::Response;

use super::headers;
use crate::decision::Decision;
use crate::limiter::{Decisions, RateGuard};

/// Put into the request's extensions by the layer, found there by the guard.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) limiter: RateGuard,
    record: Arc<Record>,
}

/// What was decided for this request.
#[derive(Default)]
struct Record {
    decisions: Mutex<Decisions>,
}

impl Exchange {
    /// The first layer that a request meets.
    pub(super) fn new(limiter: RateGuard) -> Exchange {
        Exchange { limiter, record: Arc::default() }
    }

    /// A layer further in: its own limiter, but one record, so that the headers are written once.
    pub(super) fn within(&self, limiter: RateGuard) -> Exchange {
        Exchange { limiter, record: Arc::clone(&self.record) }
    }

    pub(super) fn record(&self, decisions: impl IntoIterator<Item = Decision>) {
        self.record.decisions.lock().unwrap_or_else(PoisonError::into_inner).extend(decisions);
    }

    pub(super) fn write_headers(&self, response: &mut Response) {
        let decisions = self.record.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        headers::write(response.headers_mut(), &decisions);
    }
}
