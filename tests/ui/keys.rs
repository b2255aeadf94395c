//! Invalid keys.

use axum::extract::Query;
use rateguard::rate_limit;

#[derive(serde::Deserialize)]
struct Search {
    words: String,
}

#[rate_limit(limit = 5, window = 60, key = "IP")]
async fn upper_case() {}

#[rate_limit(limit = 5, window = 60, key = "adress")]
async fn unknown() {}

#[rate_limit(limit = 5, window = 60, key = "headr:x")]
async fn misspelt() {}

#[rate_limit(limit = 5, window = 60, key = "header:")]
async fn empty_header() {}

#[rate_limit(limit = 5, window = 60, key = "header:x api key")]
async fn header_with_spaces() {}

#[rate_limit(limit = 5, window = 60, key = "header")]
async fn no_header() {}

#[rate_limit(limit = 5, window = 60, key = "cookie:a=b")]
async fn cookie_with_a_value() {}

#[rate_limit(limit = 5, window = 60, key = "path:{tenant}")]
async fn parameter_in_braces() {}

#[rate_limit(limit = 5, window = 60, key = "user:id")]
async fn user_with_a_name() {}

#[rate_limit(limit = 5, window = 60, key = 5)]
async fn a_number() {}

#[rate_limit(limit = 5, window = 60, key = ip)]
async fn unquoted() {}

#[rate_limit(limit = 5, window = 60, key = user.name)]
async fn no_argument() {}

#[rate_limit(limit = 5, window = 60, key = querry.words)]
async fn misspelt_argument(Query(query): Query<Search>) {
    let _ = query.words;
}

struct Config {
    words: &'static str,
}
static CONFIG: Config = Config { words: "all" };

#[rate_limit(limit = 5, window = 60, key = CONFIG.words)]
async fn a_field_named_like_an_argument(Query(words): Query<String>) {
    drop((words, CONFIG.words));
}

#[rate_limit(limit = 5, window = 60, key = 1 + 1)]
async fn the_same_for_all(Query(query): Query<Search>) {
    let _ = query.words;
}

#[rate_limit(limit = 5, window = 60, key = || 5)]
async fn closure_of_nothing() {}

#[rate_limit(limit = 5, window = 60, key = ())]
async fn empty_tuple() {}

#[rate_limit(limit = 5, window = 60, key = ("ip", "ip", "global", "usr"))]
async fn wrong_parts() {}

#[rate_limit(limit = 5, window = 60, key = query.)]
async fn half_typed(Query(query): Query<Search>) {
    let _ = query.words;
}

fn main() {}
