//! Quotas, policies, exempt networks and units that cannot be read, or do not go together.

use axum::extract::{Path, Query};
use rateguard::{Policy, Quota, rate_limit};

const SEARCH: Quota = Quota::per_minute(5);
const LOGIN: Policy = Policy::new("login", SEARCH);

struct User {
    limit: u32,
}

#[rate_limit(quota = "5/60s", limit = 5)]
async fn a_quota_and_a_limit() {}

#[rate_limit(quota = SEARCH, window = 60, algorithm = "fixed_window", burst = 5)]
async fn a_quota_and_its_parts() {}

#[rate_limit(quota =)]
async fn no_quota_yet() {}

#[rate_limit(quota = 5)]
async fn a_quota_that_is_a_number() {}

#[rate_limit(quota = || SEARCH)]
async fn a_quota_of_nothing() {}

#[rate_limit(quota = "5 per minute")]
async fn a_quota_in_words() {}

#[rate_limit(quota = "0/60s")]
async fn a_text_that_allows_nothing() {}

#[rate_limit(quota = "5/1w")]
async fn a_text_with_another_unit() {}

#[rate_limit(quota = "5/366d")]
async fn a_text_of_more_than_a_year() {}

#[rate_limit(quota = "sliding-window:5/60s")]
async fn a_text_with_another_algorithm() {}

#[rate_limit(quota = "5/60s:burst=9")]
async fn a_text_with_a_burst_of_a_window() {}

#[rate_limit(quota = "token_bucket:100/1m:boost=200")]
async fn a_text_with_another_option() {}

#[rate_limit(quota = "5/60s", cost = 6)]
async fn a_cost_above_a_text() {}

#[rate_limit(limit = |req| 5)]
async fn a_limit_of_the_request_without_a_window() {}

#[rate_limit(limit = || 5, window = 60)]
async fn a_limit_of_nothing() {}

#[rate_limit(limit = |req| 5, window = |req| 60, burst = 5)]
async fn a_window_of_the_request() {}

#[rate_limit(limit = user.limit, window = user.limit, algorithm = "token_bucket", burst = user.limit)]
async fn a_window_of_an_argument(Query(user): Query<User>) {
    drop(user);
}

#[rate_limit(policy = LOGIN, window = 60, name = "login", unit = "attempts", on_error = "open")]
async fn a_policy_and_its_parts() {}

#[rate_limit(policy = "login")]
async fn a_policy_by_name() {}

#[rate_limit(policy = |req| LOGIN)]
async fn a_policy_of_the_request() {}

#[rate_limit(policy = policy)]
async fn a_policy_of_an_argument(Path(policy): Path<String>) {
    drop(policy);
}

#[rate_limit(policy = LOGIN)]
#[rate_limit(policy = LOGIN, key = "global")]
async fn one_policy_for_two() {}

#[rate_limit(limit = 5, window = 60, exempt = "10.0.0.0/8")]
async fn exempt_without_a_list() {}

#[rate_limit(limit = 5, window = 60, exempt = OFFICE)]
async fn exempt_by_a_constant() {}

#[rate_limit(limit = 5, window = 60, exempt = [])]
async fn nobody_exempt() {}

#[rate_limit(limit = 5, window = 60, exempt = [10, OFFICE])]
async fn exempt_without_quotes() {}

#[rate_limit(limit = 5, window = 60, exempt = ["10.0.0/8", "localhost", "10.0.0.0/33", "10.0.0.1/8", "0.0.0.0/0"])]
async fn no_networks() {}

#[rate_limit(limit = 5, window = 60, exempt = ["private", "private"])]
async fn a_network_twice() {}

#[rate_limit(limit = 5, window = 60, unit = tokens)]
async fn a_unit_without_quotes() {}

#[rate_limit(limit = 5, window = 60, unit = "kB/s")]
async fn a_unit_that_is_no_word() {}

#[rate_limit(quotas = "5/60s", exmpt = ["private"])]
async fn misspelt() {}

fn main() {}
