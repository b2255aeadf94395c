//! The tokens of expansions. What they do is tested in the crate `rateguard-tests`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proc_macro2::TokenStream;

use crate::expanded as attribute;

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
fn a_body_is_passed_through_unchanged_even_if_it_is_half_typed() {
    for body in ["{ db.find(q. }", "{ let x = ; match q { Some( => } }", "{ #![allow(x)] if }", "{}"] {
        let item = format!("async fn search(Query(q): Query<Search>) -> Json<Results> {body}");
        // A compiler or an editor only passes tokens whose brackets are balanced.
        let Ok(parsed) = item.parse::<TokenStream>() else { continue };
        let result = expanded(LIMIT, &parsed.to_string());
        assert!(!result.contains("compile_error"), "{result}");
        assert!(result.contains(&tokens(body)), "{result}");
    }
}

#[test]
fn a_limit_over_the_head_changes_only_the_signature() {
    let result =
        expanded(LIMIT, "pub async fn search(Query(q): Query<Search>, Json(b): Json<B>) -> Json<Results> { run(q) }");
    let signature = "#[cfg(not(doc))] pub async fn search(
        ::rateguard::__private::Limited(_, Query(q)): ::rateguard::__private::Limited<
            __in_an_impl_block_put_rate_limit_above_the_block_as_well__search,
            Query<Search>
        >,
        Json(b): Json<B>
    ) -> Json<Results> { run(q) }";
    assert!(result.starts_with(&tokens(signature)), "{result}");
}

#[test]
fn the_function_stays_as_it_is_written_beside_an_error() {
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
fn an_item_that_is_not_a_function_stays_beside_the_error() {
    for item in ["struct Search;", "impl Search { fn x() {} }", "const X: u32 = 5;", "pub(crate) enum E {}", "async"] {
        let result = expanded(LIMIT, item);
        assert!(result.contains("compile_error") && result.ends_with(&tokens(item)), "{result}");
    }
}

#[test]
fn the_attributes_move_together_below_other_macros() {
    let item = "#[instrument] #[doc = \"x\"] #[rate_limit(limit = 6, window = 1)] #[cfg(unix)] async fn f(a: A) {}";
    let expected = "#[instrument] #[doc = \"x\"] #[cfg(unix)]
        #[::rateguard::rate_limit(limit = 5, window = 60)] #[::rateguard::rate_limit(limit = 6, window = 1)]
        async fn f(a: A) {}";
    assert_eq!(expanded(LIMIT, item), tokens(expected));
}

#[test]
fn without_parameters_they_move_only_below_conditions() {
    let item =
        "#[debug_handler] #[cfg(unix)] #[cfg_attr(unix, instrument)] #[cfg_attr(unix, cfg(test))] async fn f() {}";
    let expected = "#[cfg(unix)] #[cfg_attr(unix, cfg(test))]
        #[rg::rate_limit(limit = 5, window = 60, crate = rg)]
        #[debug_handler] #[cfg_attr(unix, instrument)] async fn f() {}";
    assert_eq!(expanded("limit = 5, window = 60, crate = rg", item), tokens(expected));
}

#[test]
fn only_a_function_that_calls_itself_is_copied() {
    // One of them is for `cargo doc`.
    for (body, functions) in [
        ("{ users(n - 1).await }", 3),
        ("{ users::<T>(n).await }", 3),
        ("{ if n > 0 { return Box::pin(users(n)).await } }", 3),
        ("{ for _ in 0..users(n) {} }", 3),
        ("{ Json(Stats { users: 1 }) }", 2),
        ("{ service::users(n).await }", 2),
        ("{ db.users(n).await }", 2),
        ("{ let users: Vec<_> = vec![]; let f = |users: T| users.len(); f(users) }", 2),
        ("{ users::count(n) }", 2),
        ("{ fn users(n: u32) {} }", 3),
    ] {
        let result = expanded(LIMIT, &format!("async fn users(n: N) {body}"));
        assert_eq!(result.matches("fnusers").count(), functions, "{body}: {result}");
    }
}

#[test]
fn the_documentation_has_the_limits_in_words() {
    let item = "/// Finds.\n pub async fn search(Query(q): Query<Search>, headers: HeaderMap) {}";
    for (args, words) in [
        ("limit = 5, window = 60", "At most 5 requests a minute for each client address."),
        ("limit = 1, window = 10, key = \"user\"", "At most 1 request in 10 seconds for each user."),
        (
            "limit = 1_000u32, window = \"1h\", key = \"global\"",
            "At most 1000 requests an hour for all clients together.",
        ),
        (
            "limit = LIMIT, window = api::WINDOW, key = \"path:tenant\"",
            "At most `LIMIT` requests in `api::WINDOW` for each `tenant` in the path.",
        ),
        (
            "limit = 5, window = 60, key = (\"ip\", q.user.name)",
            "At most 5 requests a minute for each combination of client address and `q.user.name`.",
        ),
        (
            "limit = 5, window = 60, cost = 2, key = |req| f(req)",
            "At most 5 units a minute for each key found in the request; a request counts as 2.",
        ),
        (
            "limit = 5, window = 60, cost = q.items.len(), key = \"header:x-api-key\"",
            "At most 5 units a minute for each value of the header `x-api-key`; a request counts as `q.items.len()`.",
        ),
        (
            "limit = 5, window = 1, algorithm = \"token_bucket\", burst = 9",
            "At most 5 requests a second for each client address, up to 9 at once.",
        ),
        (
            "quota = \"token_bucket:100/1m:burst=200\", key = \"user\"",
            "At most 100 requests a minute for each user, up to 200 at once.",
        ),
        ("quota = api::SEARCH", "The quota `api::SEARCH` for each client address."),
        (
            "limit = q.plan.limit(), window = 60, key = \"user\"",
            "At most `q.plan.limit()` requests a minute for each user.",
        ),
        (
            "limit = |req| plan(req), window = \"1h\", unit = \"tokens\", cost = q.len()",
            "A number of tokens an hour that depends on the request, for each client address; a request counts as `q.len()`.",
        ),
        ("quota = q.plan.quota(), key = q.id", "The quota `q.plan.quota()` for each `q.id`."),
        ("quota = |req| f(req)", "A quota that depends on the request, for each client address."),
        (
            "policy = LOGIN, key = \"path:account\", exempt = [\"private\"]",
            "The policy `LOGIN` for each `account` in the path. Clients in private networks are not counted.",
        ),
        (
            "limit = 1, window = 60, unit = \"tokens\", exempt = [\"loopback\", \"10.0.0.0/8\", \"192.0.2.1\"]",
            "At most 1 token a minute for each client address. Clients in loopback networks, 10.0.0.0/8 and 192.0.2.1 are not counted.",
        ),
    ] {
        let item: TokenStream = item.parse().unwrap();
        let result = attribute(args.parse().unwrap(), &item).to_string();
        assert!(result.contains(&format!("\" {words}\"")), "{words}: {result}");
    }
    let result = expanded(LIMIT, "pub async fn search() {}");
    let functions = result.split("#[doc(hidden)]").next().unwrap_or_default();
    assert!(!functions.contains("Atmost"), "documentation that is missing stays missing: {functions}");
}

#[test]
fn an_attribute_of_another_crate_is_left_alone() {
    for (other, ours) in [
        ("rate_limit", true),
        ("rateguard::rate_limit", true),
        ("crate::http::rate_limit", true),
        ("rg::rate_limit", false),
        ("other::rate_limit", false),
    ] {
        let item = format!("#[{other}(limit = 6, window = 1)] async fn f() {{}}");
        let kept = expanded(LIMIT, &item).contains(&tokens(&format!("#[{other}(limit = 6, window = 1)]")));
        assert_eq!(kept, !ours, "{other}");
    }
    // With the name in `crate = …`.
    let item = "#[rg::rate_limit(limit = 6, window = 1)] async fn f() {}";
    assert!(!expanded("limit = 5, window = 60, crate = rg", item).contains("#[rg::rate_limit"));
}

#[test]
fn a_quota_over_an_argument_is_asked_for_in_front_of_the_body() {
    let result =
        expanded("quota = user.plan.quota(), key = user.id", "async fn report(user: User) -> Report { run(user) }");
    let deferred = "let deferred = [::rateguard::__private::Deferred::limit(0usize)
        .key(::rateguard::__private::written::named(::rateguard::__private::ToKey::to_key(&(user.id)), \"user.id\"))
        .quota(::rateguard::__private::ToQuota::to_quota(user.plan.quota()))];
        if let ::core::result::Result::Err(denied) = ::rateguard::__private::Guard::settle(rate_limit_guard, deferred).await {";
    assert!(result.contains(&deferred.replace(char::is_whitespace, "")), "{result}");
    let constant = "::rateguard::__private::written::limit(
        ::rateguard::__private::written::by_request(
            ::core::concat!(::core::module_path!(), \"::\", \"report\"),
            ::rateguard::__private::Quota::per_minute(1)
        ),
        ::rateguard::__private::written::deferred(),
        ::core::option::Option::Some(::rateguard::__private::Setting::deferred()),";
    assert!(result.contains(&constant.replace(char::is_whitespace, "")), "{result}");
}

#[test]
fn a_limit_over_an_argument_keeps_a_constant_window() {
    let result = expanded(
        "limit = user.limit, window = 60, algorithm = \"token_bucket\", burst = 5",
        "async fn report(user: User) {}",
    );
    let quota = ".quota(::rateguard::__private::written::with_limit(
        const { ::rateguard::__private::Quota::token_bucket(1, ::rateguard::__private::Duration::from_micros(60000000u64)) },
        ::core::option::Option::Some(5),
        ::rateguard::__private::ToLimit::to_limit(user.limit)
    ))";
    assert!(result.contains(&tokens(quota)), "{result}");
}

#[test]
fn what_mentions_no_argument_is_constant() {
    for args in ["quota = config.user", "quota = user::QUOTA", "limit = USER, window = 60", "policy = user::LOGIN"] {
        let result = expanded(args, "async fn report(user: User) {}");
        assert!(!result.contains("compile_error") && !result.contains("deferred"), "{args}: {result}");
    }
}
