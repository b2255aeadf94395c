//! Mistakes that only the compiler finds. It reports them on the user's own tokens.

use axum::Json;
use axum::extract::{Path, Query, State};
use rateguard::{Quota, rate_limit};

#[derive(Clone, serde::Deserialize)]
struct Search {
    words: Vec<String>,
    weight: f64,
}

const LIMIT: usize = 5;
const MINUTE: u64 = 60;

#[rate_limit(limit = LIMIT, window = MINUTE)]
async fn constants_of_another_type() {}

#[rate_limit(limit = 5, window = 60, key = search.words)]
async fn a_key_that_is_a_list(Query(search): Query<Search>) {
    let _ = search.words;
}

#[rate_limit(limit = 5, window = 60, key = |req| req.headers.clone())]
async fn a_closure_that_gives_no_key() {}

#[rate_limit(limit = 5, window = 60, key = search.wrods)]
async fn a_field_that_is_not_there(Query(search): Query<Search>) {
    let _ = search.words;
}

#[rate_limit(limit = 5, window = 60, cost = search.weight)]
async fn a_cost_that_is_no_integer(Query(search): Query<Search>) {
    let _ = search.words;
}

#[rate_limit(limit = 5, window = 60, skip = search.words)]
async fn a_skip_that_is_no_bool(Query(search): Query<Search>) {
    let _ = search.words;
}

#[rate_limit(limit = 5, window = 60, skip = user.is_admin)]
async fn a_skip_over_nothing() {}

#[rate_limit(limit = 5, window = 60, skip = |req| req.uri)]
async fn a_closure_that_gives_no_bool() {}

#[rate_limit(limit = 5, window = 60, refund_if = |res| res.status())]
async fn a_refund_that_is_no_bool() {}

#[rate_limit(quota = |req| req.uri.path())]
async fn a_closure_that_gives_no_quota() {}

#[rate_limit(quota = |req| "5/60s")]
async fn a_closure_that_gives_a_text() {}

#[rate_limit(limit = |req| "5", window = 60)]
async fn a_closure_that_gives_no_limit() {}

#[rate_limit(quota = search.weight)]
async fn an_expression_that_gives_no_quota(Query(search): Query<Search>) {
    let _ = search.words;
}

#[rate_limit(limit = search.weight, window = 60)]
async fn an_expression_that_gives_no_limit(Query(search): Query<Search>) {
    let _ = search.words;
}

#[rate_limit(quota = LIMIT)]
async fn a_constant_that_is_no_quota() {}

#[rate_limit(quota = Some(Quota::per_minute(5)))]
async fn a_constant_that_may_be_none() {}

#[rate_limit(quota = quota_of_today())]
async fn a_quota_that_is_no_constant() {}

#[rate_limit(limit = limit_of_today(), window = 60)]
async fn a_limit_that_is_no_constant() {}

#[rate_limit(quota = usr.plan)]
async fn a_quota_over_nothing() {}

#[rate_limit(policy = LIMIT)]
async fn a_constant_that_is_no_policy() {}

fn quota_of_today() -> Quota {
    Quota::per_minute(5)
}

fn limit_of_today() -> u32 {
    5
}

#[rate_limit(limit = 5, window = 60)]
async fn errors_in_the_body_stay_where_they_are(Path(id): Path<u64>) -> Json<String> {
    Json(id)
}

#[rate_limit(limit = 5, window = 60, key = id)]
async fn also_behind_a_check(Path(id): Path<u64>) -> Json<String> {
    let text: u32 = "one";
    Json(id)
}

#[rate_limit(limit = 5, window = 60)]
async fn errors_in_the_arguments_too(State(state): State<NoSuchType>) {
    let _ = state;
}

fn main() {}
