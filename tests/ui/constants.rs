//! Constants whose value cannot be a quota. They are found in any build, even if the handler is not used.

use std::time::Duration;

use rateguard::rate_limit;

const NONE: u32 = 0;
const NO_TIME: Duration = Duration::ZERO;

#[rate_limit(limit = NONE, window = 60)]
async fn no_requests() {}

#[rate_limit(limit = 5, window = NO_TIME)]
async fn no_time() {}

fn main() {}
