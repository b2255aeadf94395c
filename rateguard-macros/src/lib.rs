//! The attribute `#[rate_limit]` of rateguard. Use it from there: `rateguard::rate_limit`.
//!
//! The files are the steps, in this order: `args` reads the options and `handler` the signature, `validate` checks both
//! and makes a `plan`, `expand` writes the plan as code. `on_function` and `on_impl` take these steps for a function
//! and for an `impl` block. The body of a function is never parsed; its tokens are passed through.

mod args;
mod attribute;
mod errors;
mod expand;
mod handler;
mod impl_block;
mod library;
mod on_function;
mod on_impl;
mod param;
mod plan;
mod quota_text;
mod validate;
mod value;
mod window;

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

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
/// // Key and cost from the handler's arguments.
/// #[rate_limit(limit = 1000, window = "1h", key = order.customer, cost = order.items.len())]
/// async fn buy(Json(order): Json<Order>) -> Result<String, String> {
///     Ok(format!("{} items", order.items.len()))
/// }
///
/// // Two limits, decided together: a request that one denies is not charged to the other.
/// #[rate_limit(limit = 5, window = 1, key = ("ip", "path:account"))]
/// #[rate_limit(limit = 100, window = "1h", refund_if = |res| res.status().is_success())]
/// async fn log_in(Path(account): Path<String>) {}
///
/// // Who asks decides how much.
/// # #[derive(serde::Deserialize)] struct User { id: u64, paying: bool }
/// # impl User { fn per_minute(&self) -> u32 { if self.paying { 600 } else { 60 } } }
/// #[rate_limit(limit = user.per_minute(), window = 60, key = user.id)]
/// async fn report(Query(user): Query<User>) {}
/// ```
///
/// The app needs the library's layer, `.layer(RateLimitLayer::new(limiter))`, and limits by address also need
/// `into_make_service_with_connect_info`. Without them the handler answers `500`, and the log names the line to add.
///
/// # Options
///
/// | option | value | default |
/// |---|---|---|
/// | `limit` | units allowed in a window: a whole number of at least 1, a constant of type `u32`, or what [a request says](#quotas-by-request) | required |
/// | `window` | length of a window: seconds, or `"500ms"` `"60s"` `"1m"` `"1h"` `"1d"`, or a constant of type `Duration`; 1 ms to 365 days | required |
/// | `quota` | instead of `limit`, `window`, `algorithm` and `burst`: a text such as `"5/60s"` or `"token_bucket:100/1m:burst=200"`, a constant of type `Quota`, or what [a request says](#quotas-by-request) | none |
/// | `policy` | instead of these and `name`, `on_error`, `shadow`, `unit`: a constant of type `Policy`, which other code can peek and reset | none |
/// | `key` | who is counted, [see below](#keys) | `"ip"` |
/// | `algorithm` | how requests are counted: `"sliding_window"` `"sliding_counter"` `"fixed_window"` `"token_bucket"` | `"sliding_window"` |
/// | `burst` | for `"token_bucket"`: units that can be taken at once | `limit` |
/// | `cost` | units that a request takes, in [any form](#forms). A computed cost below 1 counts as 1, one above `u32::MAX` as `u32::MAX` | 1 |
/// | `name` | the policy's name. Handlers with the same name share their counts | module path, functions or type around it, function |
/// | `on_error` | the answer while the store fails: `"open"` allows, `"closed"` answers 503, `"local"` counts in this process | the limiter's |
/// | `skip` | which requests are not counted: a `bool`, in [any form](#forms) | none |
/// | `refund_if` | which responses give the charge back: a `Fn(&Response) -> bool`. A cancelled request has no response and stays charged | none |
/// | `shadow` | `true` is shadow mode: decide, count and report, but never deny; a constant `bool` | `false` |
/// | `exempt` | networks of clients that are not counted: `["10.0.0.0/8", "2001:db8::/32", "10.0.0.1"]`, and the names `"loopback"` and `"private"` | none |
/// | `unit` | what the units are called in the words of a `429`: the plural, 1 to 32 letters and spaces | `"requests"` |
/// | `crate` | the path of the library, if it is re-exported: `crate = my_framework::rateguard` | the name in your manifest |
///
/// By default a policy is named `module::function`. A handler that is written inside of a function is named
/// `module::outer::function`, one in an `impl` block `module::Type::function`. A handler's second limit is named
/// `module::function#2`, the third `#3`. Two handlers of one name in two blocks of the same function have the same
/// default name and share their counts: give each a `name`.
///
/// If your manifest renames the library (`rg = { package = "rateguard", … }`), the attribute finds the new name there.
///
/// # Forms
///
/// `key`, `limit`, `quota`, `cost` and `skip` are
/// - a **literal**: `key = "ip"`, `cost = 2`. Decided before any extractor runs and before the request's body is read.
/// - a **closure over the request's head**, an `&axum::http::request::Parts`: `skip = |req| req.method == "OPTIONS"`.
///   Decided at the same time. It cannot capture variables.
/// - any other **expression, over the handler's arguments**: `key = claims.sub`, `skip = user.is_admin`. Decided after the
///   extractors and before the handler's body. The arguments are borrowed, so the body still owns them.
///
/// An expression that mentions no argument is the same for every request if it is a `limit` or a `quota`: a constant, which
/// the compiler computes.
///
/// # Quotas by request
///
/// `limit` gives an integer, `quota` a `Quota`, and both may be an `Option`: `None` does not limit the request here, and it
/// counts as skipped. The `window`, `algorithm` and `burst` beside a `limit` stay constant.
///
/// ```
/// # use axum::{Extension, extract::Path, http::request::Parts};
/// # use rateguard::{Quota, rate_limit};
/// # #[derive(Clone)] struct User { id: u64, plan: Plan }
/// #[derive(Clone, Copy)]
/// enum Plan { Free, Pro, Internal }
///
/// impl Plan {
///     fn quota(self) -> Option<Quota> {
///         match self {
///             Plan::Free => Some(Quota::per_minute(60)),
///             Plan::Pro => Some(Quota::per_minute(6000)),
///             Plan::Internal => None,
///         }
///     }
/// }
///
/// #[rate_limit(quota = user.plan.quota(), key = user.id)]
/// async fn report(Extension(user): Extension<User>) {}
///
/// // Before any extractor runs, with what an authentication layer has put into the request's extensions.
/// #[rate_limit(quota = |req| req.extensions.get::<Plan>().map_or(Plan::Free.quota(), |plan| plan.quota()), key = "user")]
/// async fn search() {}
/// ```
///
/// A client whose limit changes keeps what was counted, as long as the algorithm is the same. The headers, the `429` and
/// the metrics tell the quota that applied. A limit of 0 or less denies every request, without `Retry-After`. Quotas that
/// are set at run time (`RateGuard::set_quota`) do not apply to a quota by request.
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
/// | a tuple of these | one key made of all parts: `key = ("ip", claims.sub)` |
///
/// A request without the header, the cookie or the user, or whose `Option` is `None`, is counted by its address.
///
/// Code that looks up or resets what the attribute has counted makes the same key:
///
/// | attribute | key |
/// |---|---|
/// | `key = "ip"` | `Key::ip(address)` |
/// | `key = "user"` | `Key::user(id)` |
/// | `key = "global"` | `Key::global()` |
/// | `key = "header:x-api-key"` | `Key::secret("header.x-api-key", value)`, with the name in lower case |
/// | `key = "cookie:session"` | `Key::secret("cookie.session", value)` |
/// | `key = "path:tenant"` | `Key::new("path.tenant", value)` |
/// | `key = tenant`, `key = &login.account` | `Key::new("tenant", value)`, `Key::new("login.account", value)`: the variable, the field or the path as it is written, without `&` and `*` |
/// | any other expression or closure, such as `key = id.to_string()`, or a name of more than 40 bytes | `Key::new("key", value)` |
/// | an expression or a closure that gives a `Key` | that key |
/// | `key = ("ip", claims.sub)` | `Key::composite([Key::ip(address), Key::new("claims.sub", value)])` |
///
/// A key of one's own choice is made in the attribute: `key = Key::new("account", &login.account)`.
///
/// ```
/// # use axum::{Json, extract::Path};
/// # use rateguard::{Key, Policy, Quota, RateGuard, StoreError, rate_limit};
/// # #[derive(serde::Deserialize)] struct Login { account: String }
/// const LOGIN: Policy = Policy::new("login", Quota::per_hour(5));
///
/// #[rate_limit(policy = LOGIN, key = login.account)]
/// async fn log_in(Json(login): Json<Login>) {
///     // …
/// #   drop(login);
/// }
///
/// async fn unlock(limiter: RateGuard, account: &str) -> Result<(), StoreError> {
///     limiter.reset(&LOGIN, &Key::new("login.account", account)).await
/// }
/// ```
///
/// # Handlers
///
/// The attribute works on every function that axum accepts as a handler: up to 16 arguments, patterns, generics,
/// `impl Trait`, any response. `axum::debug_handler`, `tracing::instrument` and `utoipa::path` may stand above or below
/// it and see the function as it is written, with one exception: on a function without arguments, `debug_handler` goes
/// below.
///
/// A function that returns a future itself (`fn search() -> impl Future<…>`) is a handler as well. Only a limit over
/// its arguments needs an `async fn`.
///
/// The first argument becomes a `rateguard::Limited`. axum makes one by deciding the limits. Code that calls the
/// handler directly makes one with `.into()`, and passes `Default::default()` to a handler without arguments; such a
/// call is not counted. A handler that calls itself passes the arguments that are written. A handler with a limit over
/// its arguments returns a `Result` of the type that is written. `cargo doc` shows the function as it is written, and
/// its limits in words.
///
/// ## In `impl` blocks
///
/// Functions without `self` are handlers too, such as `get(Shop::list)`. Write `#[rate_limit]` without options above
/// the block, and the limits above its functions:
///
/// ```
/// # use axum::extract::State;
/// # use rateguard::rate_limit;
/// # #[derive(Clone)] struct Shop { name: &'static str }
/// #[rate_limit]
/// impl Shop {
///     const LIMIT: u32 = 5;
///
///     #[rate_limit(limit = Self::LIMIT, window = 60)]
///     async fn list(State(shop): State<Self>) -> &'static str {
///         shop.name
///     }
/// }
/// ```
///
/// The block may be of any type, but not of a trait and not generic: a hidden type for each limited function goes
/// beside the block. In a block, a handler that calls itself passes `.into()`, like any other code, and a limit cannot
/// depend on `cfg_attr`.
///
/// # OpenAPI
///
/// With the feature `utoipa`, a `#[utoipa::path]` below the attribute documents the 429 with its headers and the limits
/// in words, unless it names a 429 itself. A `#[utoipa::path]` above the attribute is expanded first: name the type
/// there, `responses(…, rateguard::RateLimited)`. With the feature `aide`, every limited handler has its 429.
///
/// The document always names `Retry-After` and the `X-RateLimit-*` headers, which are the default. The attribute does
/// not know the limiter's settings: if yours sends other headers, or none, name a 429 of your own.
///
/// # Mistakes
///
/// Each is a compile error on the word that is wrong. All are reported together, and the function stays in place.
///
/// | mistake | message |
/// |---|---|
/// | no `limit` | `` `limit` is missing: how many requests are allowed in a window, such as `limit = 5` `` |
/// | no `window` | `` `window` is missing: how long a window is, such as `window = 60` (seconds) or `window = "1m"` `` |
/// | `windw = 60` | `` `windw` is not an option of `rate_limit`; did you mean `window`? `` and the options |
/// | `limit = 5, limit = 6` | `` `limit` is given twice: keep one; a second limit is a second `#[rate_limit(…)]` `` |
/// | `rate_limit(5, 60)` | `` an option is written `name = value`, such as `limit = 5, window = 60` `` |
/// | `limit = 5 window = 60` | `` a comma is missing before `window`: options are written `limit = 5, window = 60` `` |
/// | `limit = 5; window = 60` | `` options are separated by commas: write `,` instead of `;` `` |
/// | `limit: 5`, `shadow` | `` `limit` needs `=` and a value, such as `limit = 5` `` |
/// | `window =` | `` `window` has no value yet, such as `window = 60` `` |
/// | `key = query.` | `` the value of `key` is not finished: an expression cannot end here `` |
/// | `limit = 0` | `` `limit` is 0, which would deny every request: use 1 or more, or remove the route ``; a constant that is 0 likewise |
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
/// | `quota = "5/60s", limit = 5` | `` `limit` is a part of `quota`: leave it out, or write `limit` and `window` instead of `quota` ``; the same for `window`, `algorithm`, `burst` |
/// | `quota = "5 per minute"` | `` `quota` cannot be "5 per minute": there is no `/` between limit and window `` and the forms |
/// | `quota = "0/60s"`, `"5/1w"`, `"5/60s:burst=9"` | the same, and `the limit is 0, which would deny every request: use 1 or more`, `` the window `1w` is not a length of time: … ``, `burst is for the token bucket only: …` |
/// | `quota = 5` | `` `quota` is a text such as `quota = "5/60s"`, a constant of type `Quota`, a closure … or an expression … `` |
/// | `quota = "5/60s", cost = 6` | `` `cost` is 6, and `quota` only 5: no request would ever be allowed; raise `quota` or lower `cost` `` |
/// | <code>quota = &#124;req&#124; "5/60s"</code> | the compiler's: `` `&str` cannot be a quota ``, and what can; for `limit`: `` `&str` cannot be a limit `` |
/// | `quota = LIMIT`, not a `Quota` | the compiler's: ``expected `Quota`, found …`` |
/// | `quota = lookup()`, over no argument | the compiler's: `` cannot call non-const function `lookup` in constants `` |
/// | <code>limit = &#124;req&#124; …</code> without `window` | `` `window` is missing: … `` |
/// | <code>window = &#124;req&#124; …</code>, `burst = user.burst` | `` `window` is the same for every request: if it depends on the request, write `quota`, which gives a `Quota` `` |
/// | `policy = LOGIN, window = 60` | `` `window` is a part of the policy: set it where the policy is made, or leave `policy` out ``; the same for `name`, `limit`, `quota`, … |
/// | `policy = "login"` | `` `policy` is a constant of type `Policy`, such as `policy = LOGIN`; for a name write `name = "login"` `` |
/// | <code>policy = &#124;req&#124; …</code> | `` `policy` is the same for every request, a constant of type `Policy`; what depends on the request is a `quota` `` |
/// | one `policy` for two limits of a handler | `` two limits of this handler have the policy `LOGIN`: give each its own policy `` |
/// | `algorithm = "sliding-window"` | `` `algorithm` cannot be `"sliding-window"`; did you mean "sliding_window"? `` and the four; `on_error` likewise |
/// | `burst` without `"token_bucket"` | `` `burst` is for `algorithm = "token_bucket"`; "sliding_window" allows no more than `limit` at once `` |
/// | `burst = 0` | `` `burst` is 0, which would deny every request: use 1 or more `` |
/// | `cost = 0` | `` `cost` is 0, which would count nothing: use 1 or more, or `skip` for requests that are not counted `` |
/// | `limit = 5, cost = 6` | `` `cost` is 6, and `limit` only 5: no request would ever be allowed; raise `limit` or lower `cost` ``; the same for `burst` |
/// | `cost` computed, no integer | the compiler's: `` `f64` cannot be a cost `` |
/// | `key = "headr:x"` | `` `key` cannot be "headr:x"; did you mean "header:x"? `` and what a key is |
/// | `key = "header:"` | `the name of the header is missing: write it as in "header:x-api-key"`; the same for a cookie, a parameter |
/// | `key = "header:x api key"` | `the name of the header cannot have a space: write it as in "header:x-api-key"` |
/// | `key = "path:{tenant}"` | `` the name of the route's parameter cannot have a `{`: write it as in "path:tenant" … `` |
/// | `key = "user:id"` | `` "user" takes no name: write `key = "user"` `` |
/// | `key = 5` | `` `key` cannot be a number or a bool `` and what a key is |
/// | `key = user.name`, no such argument | `` `user` is not an argument of `search`; did you mean `key = "user"`? `` and the arguments |
/// | `key = 1 + 1` | `` the key mentions no argument of `search`, so all clients would share one bucket `` and the arguments |
/// | `key = ("ip", "ip")`, `("ip", "global")` | `"ip" is in the key twice: leave one out`; `"global" is the same for every request, so it adds nothing to a tuple: leave it out` |
/// | `key = ()` | `` `key` is an empty tuple `` and what a key is |
/// | <code>key = &#124;&#124; …</code> | <code>the closure of &#96;key&#96; takes the request's head: &#96;&#124;req&#124; …&#96;, a &#96;&Parts&#96;</code>; the same for `limit`, `quota`, `cost`, `skip` |
/// | a value that cannot be a key | the compiler's: `` `Vec<String>` cannot say who is being counted ``, and what can |
/// | `key = consume(name)`, and the body uses `name` | the compiler's: `` use of moved value: `name` `` |
/// | `skip = true` | `` `skip = true` would count no request at all: remove the attribute, or say when … `` |
/// | `skip = "admin"` | `` `skip` says which requests are not counted: an expression … or a closure …, of type `bool` `` |
/// | `refund_if = 500` | `` `refund_if` is a closure over the response that says whether to give the charge back … `` |
/// | `name = ""`, `"my search"`, `search` | `` `name` is empty … ``, `` `name` has a space … ``, `` `name` is a string: write `name = "search"` `` |
/// | one `name` for two limits of a handler | `two limits of this handler are named "search": give each its own name` |
/// | `exempt = "10.0.0.0/8"` | `` `exempt` is a list of the networks of clients that are not counted, such as `exempt = ["10.0.0.0/8"]` `` |
/// | `exempt = ["10.0.0/8"]` | `` `exempt` cannot have "10.0.0/8" `` and what it can have |
/// | `exempt = ["10.0.0.1/8"]` | `"10.0.0.1/8" is neither the network "10.0.0.0/8" nor the address "10.0.0.1": write the one you mean` |
/// | `exempt = ["10.0.0.0/33"]` | `the prefix of "10.0.0.0/33" is longer than an address: use /1 to /32` |
/// | `exempt = ["0.0.0.0/0"]` | `"0.0.0.0/0" would exempt every client: name the networks that are not counted, or remove the limit` |
/// | `unit = tokens`, `unit = "kB/s"` | `` `unit` is a string: write `unit = "tokens"` ``; `` `unit` is the plural of what is counted, 1 to 32 letters and spaces, … `` |
/// | `shadow = "yes"` | `` `shadow` is `true` or `false` `` |
/// | `crate = "rg"` | `` `crate` is the path of the library, without quotes: `crate = rg` `` |
/// | on a struct, a module, … | `` `#[rate_limit]` goes on an axum handler, which is an `async fn`; this is a struct `` |
/// | on a function that is not `async` | `` `search` is not async, and an axum handler is an `async fn`: write `async fn search` `` |
/// | on a function that returns a future, with a limit over its arguments | `` a limit over the handler's arguments needs an `async fn`: write `async fn search` and what its future returns `` |
/// | on a method | `` a method cannot be an axum handler: `#[rate_limit]` goes on a function without `self`; take what it needs as an argument … `` |
/// | in an `impl` block, without the attribute above the block | `` `list` is in an `impl` block: write `#[rate_limit]` above the block as well, without options ``. If `Self` is not used, the compiler's: ``enum is not supported in `trait`s or `impl`s``, and a type that is not found, named `…put_rate_limit_above_the_block_as_well…` |
/// | on an `impl` block, with options | `` above an `impl` block, `#[rate_limit]` has no options: write `#[rate_limit]` here, and the limit above each function `` |
/// | on an `impl` block of a trait | `a function of a trait cannot have a limit: move the handler to an …` |
/// | on a generic `impl` block | `` `#[rate_limit]` does not work in a generic `impl` block: … `` |
/// | below `debug_handler`, without arguments | the compiler's: a missing argument whose type is named `…and_put_rate_limit_above_debug_handler` |
/// | `show(State(1), Path(2))` in a test | the compiler's: expected `Limited<…>`, and to call `Into::into`: `show(State(1).into(), Path(2))` |
/// | `ping()` in a test | the compiler's: a missing argument whose type is named `…call_ping_with_Default_default…` |
/// | a handler that is not `Send` | the compiler's: `future cannot be sent between threads safely`, and the value that is held across an await |
#[proc_macro_attribute]
pub fn rate_limit(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expanded(args.into(), &item.into()).into()
}

/// What the attribute above an `impl` block leaves to each limited function in it.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn rate_limit_in_impl(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    on_impl::function(args.into(), &item.into()).into()
}

fn expanded(args: TokenStream, item: &TokenStream) -> TokenStream {
    if impl_block::is_impl_block(item) { on_impl::expand(args, item) } else { on_function::expand(args, item) }
}
