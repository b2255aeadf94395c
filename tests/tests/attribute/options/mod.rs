//! Every option of the attribute does what it says, in each of its forms.

mod algorithms;
mod costs;
mod failures;
mod keys;
mod names;
mod order_of_things;
mod refunds;
mod shadows;
mod skips;
mod stacks;
mod windows;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::stream;
use rateguard::{Key, ManualClock, Policy, Quota, RateGuard, UserId, rate_limit};
use rateguard_tests::{App, request};
use serde::Deserialize;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Order {
    customer: String,
    items: Vec<u32>,
}

/// Charges one unit to a policy, and returns what was left before.
async fn left(app: &App, policy: &'static str, limit: u32, key: Key) -> u32 {
    app.limiter.check(&Policy::new(policy, Quota::sliding_window(limit, MINUTE)), &key).await.remaining() + 1
}

fn client() -> Key {
    Key::ip([192, 0, 2, 1])
}
