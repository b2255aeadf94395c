//! Constants whose value cannot be a quota. They are found in any build, even if the handler is not used.

use std::time::Duration;

use axum::extract::Path;
use axum::http::request::Parts;
use rateguard::{Quota, rate_limit};

const NONE: u32 = 0;
const NO_TIME: Duration = Duration::ZERO;

#[rate_limit(limit = NONE, window = 60)]
async fn no_requests() {}

#[rate_limit(limit = 5, window = NO_TIME)]
async fn no_time() {}

#[rate_limit(quota = Quota::per_minute(NONE))]
async fn no_quota() {}

#[rate_limit(limit = |req| plan(req), window = NO_TIME)]
async fn no_time_for_a_limit_of_the_request() {}

#[rate_limit(limit = limit, window = 60, algorithm = "token_bucket", burst = NONE)]
async fn no_burst_for_a_limit_of_an_argument(Path(limit): Path<u32>) {
    let _ = limit;
}

fn plan(_: &Parts) -> u32 {
    5
}

fn main() {}
