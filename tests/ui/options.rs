//! Options that are missing, misspelt, given twice, or have a value of the wrong form.

use rateguard::rate_limit;

#[rate_limit]
async fn nothing_at_all() {}

#[rate_limit(limit = 5)]
async fn no_window() {}

#[rate_limit(limt = 5, windw = 60)]
async fn misspelt() {}

#[rate_limit(limit = 5, window = 60, colour = "red")]
async fn unknown() {}

#[rate_limit(limit = 5, window = 60, limit = 6)]
async fn twice() {}

#[rate_limit(5, 60)]
async fn without_names() {}

#[rate_limit(limit: 5, window(60))]
async fn other_syntax() {}

#[rate_limit(limit = 5, window =)]
async fn no_value_yet() {}

#[rate_limit(limit = 5 window = 60)]
async fn no_comma() {}

#[rate_limit(limit = 5, window = "1m", key = "ip" cost = 2)]
async fn no_comma_after_a_string() {}

#[rate_limit(limit = 5; window = 60)]
async fn a_semicolon() {}

#[rate_limit(limit = 5, window = 60, shadow)]
async fn a_bare_flag() {}

#[rate_limit(limit = 0, window = 0)]
async fn zero() {}

#[rate_limit(limit = -1, window = -1)]
async fn negative() {}

#[rate_limit(limit = "5", window = "5 minutes")]
async fn quoted() {}

#[rate_limit(limit = 4294967296, window = 31536001)]
async fn too_large() {}

#[rate_limit(limit = 5u64, window = 60u64)]
async fn suffixes() {}

#[rate_limit(limit = 5, window = 1m)]
async fn a_unit_without_quotes() {}

#[rate_limit(limit = 5, window = 500ms)]
async fn milliseconds_without_quotes() {}

#[rate_limit(limit = 5, window = 1.5h)]
async fn a_fraction_of_a_unit() {}

#[rate_limit(limit = 1.5, window = 0.5)]
async fn fractions() {}

#[rate_limit(limit = "five", window = "soon")]
async fn words() {}

#[rate_limit(limit = true, window = true)]
async fn bools() {}

#[rate_limit(limit = 5, window = "366d")]
async fn more_than_a_year() {}

#[rate_limit(limit = 5, window = 60, algorithm = "sliding-window")]
async fn misspelt_algorithm() {}

#[rate_limit(limit = 5, window = 60, algorithm = token_bucket, burst = 0)]
async fn unquoted_algorithm() {}

#[rate_limit(limit = 5, window = 60, algorithm = "leaky")]
async fn unknown_algorithm() {}

#[rate_limit(limit = 5, window = 60, burst = 10)]
async fn burst_of_a_window() {}

#[rate_limit(limit = 5, window = 60, algorithm = "token_bucket", burst = 0)]
async fn no_burst() {}

#[rate_limit(limit = 5, window = 60, cost = 0)]
async fn free() {}

#[rate_limit(limit = 5, window = 60, cost = 6)]
async fn too_high() {}

#[rate_limit(limit = 5, window = 60, algorithm = "token_bucket", burst = 7, cost = 8)]
async fn higher_than_the_burst() {}

#[rate_limit(limit = 5, window = 60, cost = "1")]
async fn quoted_cost() {}

#[rate_limit(limit = 5, window = 60, skip = true)]
async fn always_skipped() {}

#[rate_limit(limit = 5, window = 60, skip = "admin")]
async fn skip_by_name() {}

#[rate_limit(limit = 5, window = 60, skip = || true)]
async fn skip_of_nothing() {}

#[rate_limit(limit = 5, window = 60, refund_if = 500)]
async fn refund_by_number() {}

#[rate_limit(limit = 5, window = 60, name = "")]
async fn no_name() {}

#[rate_limit(limit = 5, window = 60, name = "my search")]
async fn a_name_with_a_space() {}

#[rate_limit(limit = 5, window = 60, name = search)]
async fn unquoted_name() {}

#[rate_limit(limit = 5, window = 60, on_error = "opened")]
async fn misspelt_policy() {}

#[rate_limit(limit = 5, window = 60, on_error = "panic")]
async fn unknown_policy() {}

#[rate_limit(limit = 5, window = 60, shadow = "yes")]
async fn quoted_shadow() {}

#[rate_limit(limit = 5, window = 60, crate = "rg")]
async fn quoted_path() {}

#[rate_limit(limit = 5, window = 1, name = "search")]
#[rate_limit(limit = 100, window = 60, name = "search")]
async fn one_name_for_two() {}

// The limit below is checked together with the one above.
#[rate_limit(limit = 0, window = 1)]
#[rate_limit(limit = 100, widow = 60)]
async fn both_wrong() {}

fn main() {
    // The functions are still defined, so no other error follows.
    let _ = (misspelt(), both_wrong());
}
