//! What becomes of a function's tokens. What the result does is tested where it runs, in the crate `rateguard-tests`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proc_macro2::TokenStream;

use crate::attribute;

/// The expansion, without spaces.
fn expanded(args: &str, item: &str) -> String {
    let item: TokenStream = item.parse().unwrap();
    squeezed(&attribute(args.parse().unwrap(), &item))
}

fn tokens(text: &str) -> String {
    squeezed(&text.parse().unwrap())
}

fn squeezed(tokens: &TokenStream) -> String {
    tokens.to_string().replace(char::is_whitespace, "")
}

const LIMIT: &str = "limit = 5, window = 60";

#[test]
fn a_body_is_passed_on_as_it_is_also_half_typed() {
    for body in ["{ db.find(q. }", "{ let x = ; match q { Some( => } }", "{ #![allow(x)] if }", "{}"] {
        let item = format!("async fn search(Query(q): Query<Search>) -> Json<Results> {body}");
        // The tokens have to balance, as they do in what a compiler or an editor hands over.
        let Ok(parsed) = item.parse::<TokenStream>() else { continue };
        let result = expanded(LIMIT, &parsed.to_string());
        assert!(!result.contains("compile_error"), "{result}");
        assert!(result.contains(&tokens(body)), "{result}");
    }
}

#[test]
fn a_limit_by_the_head_changes_the_signature_alone() {
    let result =
        expanded(LIMIT, "pub async fn search(Query(q): Query<Search>, Json(b): Json<B>) -> Json<Results> { run(q) }");
    let signature = "pub async fn search(
        (_, Query(q)): (::rateguard::__private::Guard<__rate_limit_search>, Query<Search>), Json(b): Json<B>
    ) -> Json<Results> { run(q) }";
    assert!(result.starts_with(&tokens(signature)), "{result}");
}

#[test]
fn a_mistake_leaves_the_function_as_it_was_for_the_editor() {
    let item = "/// Finds.\n #[inline] pub async fn search(Query(q): Query<Search>) -> Json<Results> { run(q) }";
    for args in
        ["limit = 5", "limit = , window = 60", "limit = 5, window = 60, k", "limit = 5, window = 60, key = q.", "", "?"]
    {
        let result = expanded(args, item);
        assert!(result.contains("compile_error"), "{args}: {result}");
        assert!(result.ends_with(&tokens(item)), "{args}: {result}");
    }
}

#[test]
fn all_mistakes_of_all_attributes_are_reported_together() {
    let item = "#[rate_limit(limit = -1, windw = 60)] fn search(&self) {}";
    let result = expanded("limit = 0, window = 0, key = \"x\"", item);
    assert_eq!(result.matches("compile_error").count(), 7, "{result}");
    assert!(result.ends_with(&tokens("fn search(&self) {}")), "{result}");
}

#[test]
fn what_is_no_function_stays_what_it_is() {
    for item in ["struct Search;", "impl Search { fn x() {} }", "const X: u32 = 5;", "pub(crate) enum E {}", "async"] {
        let result = expanded(LIMIT, item);
        assert!(result.contains("compile_error") && result.ends_with(&tokens(item)), "{result}");
    }
}

#[test]
fn the_attributes_go_below_the_others_together_to_see_what_they_make_of_the_function() {
    let item = "#[instrument] #[doc = \"x\"] #[rate_limit(limit = 6, window = 1)] #[cfg(unix)] async fn f(a: A) {}";
    let expected = "#[instrument] #[doc = \"x\"] #[cfg(unix)]
        #[::rateguard::rate_limit(limit = 5, window = 60)] #[::rateguard::rate_limit(limit = 6, window = 1)]
        async fn f(a: A) {}";
    assert_eq!(expanded(LIMIT, item), tokens(expected));
}

#[test]
fn without_parameters_they_stay_above_all_but_conditions() {
    let item =
        "#[debug_handler] #[cfg(unix)] #[cfg_attr(unix, instrument)] #[cfg_attr(unix, cfg(test))] async fn f() {}";
    let expected = "#[cfg(unix)] #[cfg_attr(unix, cfg(test))]
        #[rg::rate_limit(limit = 5, window = 60, crate = rg)]
        #[debug_handler] #[cfg_attr(unix, instrument)] async fn f() {}";
    assert_eq!(expanded("limit = 5, window = 60, crate = rg", item), tokens(expected));
}
