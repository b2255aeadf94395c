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
mod source;
mod validate;
mod value;
mod window;

#[cfg(test)]
mod expansions;
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
/// | `exempt` | networks of clients that are not counted: `["10.0.0.0/8", "2001:db8::/32", "10.0.0.1"]`, and the names `"loopback"` and `"private"`. Like `key = "ip"`, it needs the client's address | none |
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
#[doc = include_str!("mistakes.md")]
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
