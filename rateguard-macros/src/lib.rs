//! The attribute `#[rate_limit]` of rateguard, which exports it and documents the rest of the library.
//!
//! How it works, file by file: `args` reads the options, `handler` the function's signature, `validate` makes a
//! plan of both or says what is wrong, `expand` writes the plan down as code. The body of the function is never
//! parsed; it passes through as the tokens it is.

use proc_macro2::{Span, TokenStream};
use quote::quote;

mod amount;
mod args;
mod attribute;
mod constant;
mod errors;
mod expand;
mod handler;
mod key;
mod late;
mod openapi;
mod rules;
mod validate;
mod value;
mod window;
mod words;

#[cfg(test)]
mod tests;

use args::Args;
use errors::Errors;
use expand::Plan;
use handler::Handler;

/// Limits an axum handler: one line above it, and each client gets its quota.
///
/// ```
/// # use axum::{Json, extract::{Path, Query}};
/// # use rateguard::rate_limit;
/// # #[derive(serde::Deserialize)] struct Search { words: String }
/// # #[derive(serde::Deserialize)] struct Order { customer: u64, items: Vec<u64> }
/// #[rate_limit(limit = 5, window = 60)]
/// async fn search(Query(search): Query<Search>) -> String {
///     search.words
/// }
///
/// // By what the handler was given, and as much as it weighs.
/// #[rate_limit(limit = 1000, window = "1h", key = order.customer, cost = order.items.len())]
/// async fn buy(Json(order): Json<Order>) -> Result<String, String> {
///     Ok(format!("{} items", order.items.len()))
/// }
///
/// // Two limits, decided together: a refusal by one spends nothing of the other.
/// #[rate_limit(limit = 5, window = 1, key = ("ip", "path:account"))]
/// #[rate_limit(limit = 100, window = "1h", refund_if = |res| res.status().is_success())]
/// async fn log_in(Path(account): Path<String>) {}
/// ```
///
/// The app needs the library's layer, `.layer(RateLimitLayer::new(limiter))`, and for limits by address
/// `into_make_service_with_connect_info`; without them the handler answers `500`, and the log says which line to add.
///
/// # Options
///
/// | option | value | default |
/// |---|---|---|
/// | `limit` | how many units are allowed in a window: a whole number of at least 1, or a constant of type `u32` | required |
/// | `window` | how long a window is: seconds, or `"500ms"` `"60s"` `"1m"` `"1h"` `"1d"`, or a constant of type `Duration`; 1 ms to 365 days | required |
/// | `key` | who is counted, [see below](#keys) | `"ip"` |
/// | `algorithm` | how it is counted: `"sliding_window"` `"sliding_counter"` `"fixed_window"` `"token_bucket"` | `"sliding_window"` |
/// | `burst` | for `"token_bucket"`: how many units can be taken at once | `limit` |
/// | `cost` | how many units a request takes: at least 1, in [any form](#forms); what it computes is raised to 1 and cut to `u32::MAX` | 1 |
/// | `name` | the policy's name. Handlers with one name share their buckets | module path, functions around it, function |
/// | `on_error` | the answer while the store fails: `"open"` admits, `"closed"` is a 503, `"local"` counts in this process | the limiter's |
/// | `skip` | which requests pass uncounted: a `bool`, in [any form](#forms) | none |
/// | `refund_if` | which responses give the charge back: a `Fn(&Response) -> bool`. A request that is cancelled has no response and stays charged | none |
/// | `shadow` | `true`: decide, count and report, but never refuse; a constant `bool` | `false` |
/// | `crate` | the path of the library, where a manifest renames it: `crate = rg` | `::rateguard` |
///
/// By default the policy of a handler is named `module::function`, and one that is written inside of a function
/// `module::outer::function`. A handler's second limit is named `module::function#2`, the third `#3`.
///
/// # Forms
///
/// `key`, `cost` and `skip` are
/// - a **literal**: `key = "ip"`, `cost = 2`. Decided before any extractor runs, before the request's body is read.
/// - a **closure over the request's head**, an `&axum::http::request::Parts`: `skip = |req| req.method == "OPTIONS"`.
///   Decided at the same time. It captures nothing.
/// - any other **expression, over the handler's arguments**: `key = claims.sub`, `skip = user.is_admin`. Decided after the
///   extractors, before the handler's body. The arguments are borrowed, so the body has them all.
///
/// # Keys
///
/// | key | who is counted |
/// |---|---|
/// | `"ip"` | the client's address |
/// | `"user"` | the `UserId` that an authentication layer put into the request's extensions |
/// | `"global"` | all clients together |
/// | `"header:NAME"` `"cookie:NAME"` | the value of a header or a cookie |
/// | `"path:PARAM"` | a parameter that the route captures; a route without it answers `500`, and the log names both |
/// | a closure, an expression | anything that implements `Display`, a `Key`, or an `Option` of these |
/// | a tuple of these | all of it as one identity: `key = ("ip", claims.sub)` |
///
/// Who lacks the header, the cookie, the user, or whose `Option` is `None`, is counted by address.
///
/// # Handlers
///
/// It goes above every function that axum takes as a handler: up to 16 arguments, patterns in them, generics,
/// `impl Trait`, any response. `axum::debug_handler`, `tracing::instrument` and `utoipa::path` may stand above or below and
/// see the function as it was written, with one exception: on a function without arguments, `debug_handler` goes below.
///
/// A function that returns a future itself (`fn search() -> impl Future<…>`) is a handler as well; only a limit over its
/// arguments needs an `async fn`.
///
/// The first argument becomes a `rateguard::Limited`, which axum makes by deciding the limits. Code that calls the handler
/// itself makes one with `.into()`, and calls a handler without arguments with `Default::default()`; such a call is not
/// counted. A handler that calls itself does so as it was written. A handler with a limit over its arguments returns a
/// `Result` of what it is written to return. `cargo doc` shows the function as it was written, and its limits in words.
///
/// It cannot stand in an `impl` block, because a hidden type goes beside it.
///
/// # OpenAPI
///
/// With the feature `utoipa`, a `#[utoipa::path]` below the attribute documents the 429, with its headers and the limits in
/// words, unless it has a 429 of its own. One above the attribute is expanded first: there, name the type,
/// `responses(…, rateguard::RateLimited)`. With the feature `aide`, every limited handler has its 429.
///
/// # Mistakes
///
/// Each is a compile error on the word that is wrong, all of them are reported together, and the function stays.
///
/// | mistake | message |
/// |---|---|
/// | no `limit` | `` `limit` is missing: how many requests are allowed in a window, such as `limit = 5` `` |
/// | no `window` | `` `window` is missing: how long a window is, such as `window = 60` (seconds) or `window = "1m"` `` |
/// | `windw = 60` | `` `windw` is no option of `rate_limit`; did you mean `window`? `` and the options |
/// | `limit = 5, limit = 6` | `` `limit` is given twice: keep one; a second limit is a second `#[rate_limit(…)]` `` |
/// | `rate_limit(5, 60)` | `` an option is written `name = value`, such as `limit = 5, window = 60` `` |
/// | `limit = 5 window = 60` | `` a comma is missing before `window`: options are written `limit = 5, window = 60` `` |
/// | `limit = 5; window = 60` | `` options are separated by commas: write `,` instead of `;` `` |
/// | `limit: 5`, `shadow` | `` `limit` needs `=` and a value, such as `limit = 5` `` |
/// | `window =` | `` `window` has no value yet, such as `window = 60` `` |
/// | `key = query.` | `` the value of `key` is not finished: an expression cannot end here `` |
/// | `limit = 0` | `` `limit` is 0, which would deny every request: use 1 or more, or take the route away ``; the same for a constant that is 0 |
/// | `limit = -1` | `` `limit` is negative: use 1 or more `` |
/// | `limit = "5"` | `` `limit` is a number: write it without quotes, `limit = 5` `` |
/// | `limit = 1.5`, `limit = true` | `` `limit` is a whole number of at least 1, such as `limit = 5`, or a constant of type `u32` `` |
/// | `limit = 4294967296` | `` `limit` is at most 4294967295 (`u32::MAX`) `` |
/// | `limit = 5u64` | `` `limit` is a `u32`: write `limit = 5` `` |
/// | `limit = LIMIT`, not a `u32` | the compiler's: ``expected `u32`, found …``; for `window`: ``expected `Duration` `` |
/// | `window = 0` | `` `window` is 0, in which nothing can be counted: use 1 ms to 365 days `` and the forms |
/// | `window = -1` | `` `window` is negative: use 1 ms to 365 days `` |
/// | `window = "5 minutes"` | `` `window` cannot be "5 minutes"; did you mean "5m"? `` and the forms |
/// | `window = "366d"` | `` `window` of 366d is longer than a year: use 1 ms to 365 days; a number is in seconds `` |
/// | `window = 1m` | `` `window` with a unit is a string: write `window = "1m"` `` |
/// | `window = 60u64` | `` `window` as a number is in seconds and has no type: write `window = 60` `` |
/// | `algorithm = "sliding-window"` | `` `algorithm` cannot be `"sliding-window"`; did you mean "sliding_window"? `` and the four; `on_error` likewise |
/// | `burst` without `"token_bucket"` | `` `burst` is for `algorithm = "token_bucket"`; "sliding_window" allows no more than `limit` at once `` |
/// | `burst = 0` | `` `burst` is 0, which would deny every request: use 1 or more `` |
/// | `cost = 0` | `` `cost` is 0, which would count nothing: use 1 or more, or `skip` for requests that pass uncounted `` |
/// | `limit = 5, cost = 6` | `` `cost` is 6, and `limit` only 5: no request could ever pass; raise `limit` or lower `cost` ``; the same for `burst` |
/// | `cost` computed, no integer | the compiler's: `` `f64` cannot be a cost `` |
/// | `key = "headr:x"` | `` `key` cannot be "headr:x"; did you mean "header:x"? `` and what a key is |
/// | `key = "header:"` | `the name of the header is missing: write it as in "header:x-api-key"`; the same for a cookie, a parameter |
/// | `key = "header:x api key"` | `the name of the header cannot have a space: write it as in "header:x-api-key"` |
/// | `key = "path:{tenant}"` | `` the name of the route's parameter cannot have a `{`: write it as in "path:tenant" … `` |
/// | `key = "user:id"` | `` "user" takes no name: write `key = "user"` `` |
/// | `key = 5` | `` `key` cannot be a number or a bool `` and what a key is |
/// | `key = user.name`, no such argument | `` `user` is no argument of `search`; did you mean `key = "user"`? `` and the arguments |
/// | `key = 1 + 1` | `` the key mentions no argument of `search`, so all clients would share one bucket `` and the arguments |
/// | `key = ("ip", "ip")`, `("ip", "global")` | `"ip" is in the key twice: leave one out`; `"global" is the same for every request, so it adds nothing to a tuple: leave it out` |
/// | `key = ()` | `` `key` is an empty tuple `` and what a key is |
/// | <code>key = &#124;&#124; …</code> | <code>the closure of &#96;key&#96; takes the request's head: &#96;&#124;req&#124; …&#96;, a &#96;&Parts&#96;</code>; the same for `cost`, `skip` |
/// | a key that is no key | the compiler's: `` `Vec<String>` cannot say who is being counted ``, and what can |
/// | `key = consume(name)`, and the body uses `name` | the compiler's: `` use of moved value: `name` `` |
/// | `skip = true` | `` `skip = true` would count no request at all: take the attribute away, or say when … `` |
/// | `skip = "admin"` | `` `skip` says which requests pass uncounted: an expression … or a closure …, of type `bool` `` |
/// | `refund_if = 500` | `` `refund_if` is a closure over the response that says whether to give the charge back … `` |
/// | `name = ""`, `"my search"`, `search` | `` `name` is empty … ``, `` `name` has a space … ``, `` `name` is a string: write `name = "search"` `` |
/// | one `name` for two limits of a handler | `two limits of this handler are named "search": give each its own name` |
/// | `shadow = "yes"` | `` `shadow` is `true` or `false` `` |
/// | `crate = "rg"` | `` `crate` is the path of the library, without quotes: `crate = rg` `` |
/// | on a struct, a module, … | `` `#[rate_limit]` goes on an axum handler, which is an `async fn`; this is a struct `` |
/// | on a function that is not `async` | `` `search` is not async, and an axum handler is an `async fn`: write `async fn search` `` |
/// | on a function that returns a future, with a limit over its arguments | `` a limit over the handler's arguments needs an `async fn`: write `async fn search` and what its future returns `` |
/// | on a method | `` a method is no axum handler: `#[rate_limit]` goes on a function without `self`; take what it needs as an argument … `` |
/// | in an `impl` block | `` `#[rate_limit]` works on functions outside of `impl` and `trait` blocks … `` where it says `Self`; else the compiler's: ``enum is not supported in `trait`s or `impl`s`` |
/// | below `debug_handler`, without arguments | the compiler's: a missing argument whose type is named `…and_put_rate_limit_above_debug_handler` |
/// | `show(State(1), Path(2))` in a test | the compiler's: expected `Limited<…>`, and to call `Into::into`: `show(State(1).into(), Path(2))` |
/// | `ping()` in a test | the compiler's: a missing argument whose type is named `…call_ping_with_Default_default…` |
/// | a handler that is not `Send` | the compiler's: `future cannot be sent between threads safely`, with the line that holds on to what |
#[proc_macro_attribute]
pub fn rate_limit(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    attribute(args.into(), &item.into()).into()
}

fn attribute(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut handler = match syn::parse2::<Handler>(item.clone()) {
        Ok(mut handler) => {
            handler.libraries.extend(attribute::library_names(&args));
            handler
        }
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = Errors::default();
    handler.check(&mut errors);
    // The outermost attribute takes those below it over, so that the limits of one request are decided together.
    let mut attributes = vec![(args, Span::call_site())];
    attributes.extend(handler.limits().map(|attribute| (attribute.arguments.clone(), attribute.span)));
    let own: Vec<TokenStream> = attributes.iter().map(|(arguments, _)| arguments.clone()).collect();
    let mut library = None;
    let mut rules = Vec::new();
    for (arguments, span) in attributes {
        let mut args = Args::parse(arguments, span, &mut errors);
        library = library.or(args.take("crate"));
        rules.extend(validate::rule(&mut args, &handler, &mut errors));
    }
    validate::distinct_names(&rules, &mut errors);
    validate::awaits(&rules, &handler, &mut errors);
    let library = validate::library(library, &mut errors);
    if let Some(errors) = errors.into_tokens() {
        // The function stays, as if it had no limit: an editor goes on knowing it, and no error follows from its absence.
        let attributes = expand::kept(&handler).map(|attribute| &attribute.tokens);
        let item = &handler.item;
        return quote!(#errors #(#attributes)* #item);
    }
    if cfg!(feature = "utoipa") {
        openapi::document(&mut handler, &words::sentences(&rules));
    }
    if let Some(moved) = expand::reordered(&handler, &own, &library) {
        return moved;
    }
    let plan = Plan { rules, library };
    expand::expand(&plan, &handler)
}
