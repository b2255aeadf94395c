//! Rate limiting for axum as one line above a handler.
//!
//! ```
//! use axum::{Router, routing::get};
//! use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer, rate_limit};
//!
//! #[rate_limit(limit = 2, window = 60, key = "ip")]
//! async fn search() -> &'static str {
//!     "results"
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # use axum::{body::Body, extract::{Request, connect_info::MockConnectInfo}};
//! # use std::net::SocketAddr;
//! # use tower::ServiceExt;
//! let limiter = RateGuard::memory(); // or ::redis("redis://127.0.0.1")?, or ::from_env()?
//! let layer = RateLimitLayer::new(limiter).limit("all", Quota::per_minute(100), KeyBy::Ip);
//! let app = Router::new().route("/search", get(search)).layer(layer);
//! // axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//! # let app = app.layer(MockConnectInfo(SocketAddr::from(([203, 0, 113, 7], 50_000))));
//! # let ask = || async {
//! #     let request = Request::builder().uri("/search").body(Body::empty()).unwrap();
//! #     app.clone().oneshot(request).await.unwrap()
//! # };
//!
//! // Two requests are served; the third is denied before the handler runs.
//! assert_eq!(ask().await.status(), 200);
//! assert_eq!(ask().await.status(), 200);
//! let third = ask().await;
//! assert_eq!(third.status(), 429);
//! assert_eq!(third.headers()["x-ratelimit-remaining"], "0");
//! assert!(third.headers().contains_key("retry-after"));
//! # }
//! ```
//!
//! # The parts
//!
//! - [`rate_limit`](macro@rate_limit), the attribute. It goes above a handler. The route needs the layer around it.
//! - [`RateLimitLayer`] installs the limiter for the attributes and writes the quota headers. It can have limits of its own: each
//!   is an [`HttpLimit`], and [`KeyBy`] says who it counts.
//! - [`RateGuard`] is the limiter: [`memory`](RateGuard::memory), [`redis`](RateGuard::redis),
//!   [`from_env`](RateGuard::from_env), or the [`builder`](RateGuard::builder) for other settings. Without HTTP, use
//!   [`check`](RateGuard::check) and [`check_all`](RateGuard::check_all).
//! - [`Quota`] is how much is allowed and how it is counted, [`Policy`] is a quota with a name, [`Key`] is who is counted,
//!   [`Decision`] is the answer.
//! - Inside a request: [`RequestLimiter`] for checks in a handler, [`ClientIp`] for the client's address,
//!   [`usage`](fn@usage) for a client that asks for its own quotas.
//!
//! # The guide
//!
//! [The guide](guide) has one chapter per subject. Its front page lists them in reading order.
//!
//! - Begin: [how it works](guide::how_it_works), [adding limits](guide::adding_limits), [the attribute](guide::attribute),
//!   [the layer](guide::layer), [responses and headers](guide::responses), [gRPC](guide::grpc),
//!   [examples](guide::examples).
//! - Run it: [in production](guide::in_production), [backends](guide::backends), [Redis outages](guide::redis_outages),
//!   [behind a proxy](guide::behind_a_proxy), [security](guide::security), [metrics and logs](guide::metrics_and_logs),
//!   [shadow mode (dry run)](guide::shadow_mode), [overrides](guide::overrides), [support desk](guide::support_desk),
//!   [scaling](guide::scaling), [performance](guide::performance).
//! - Write it: [recipes](guide::recipes), [algorithms](guide::algorithms), [testing](guide::testing),
//!   [handlers that block](guide::handlers_that_block), [FAQ](guide::faq).
//! - Coming from: [`tower_governor`](guide::from_tower_governor), [axum-governor](guide::from_axum_governor),
//!   [express-rate-limit](guide::from_express_rate_limit), [slowapi and Flask-Limiter](guide::from_slowapi),
//!   [FastAPI with Redis sorted sets](guide::from_fastapi).
//! - Decide: [alternatives](guide::alternatives), [mistakes of others](guide::mistakes_of_others),
//!   [features and dependencies](guide::features), [versions](guide::versions).
//!
//! # What is promised
//!
//! The sliding window is exact: no interval of one window's length has more than `limit` allowed units, whatever the
//! concurrency, the number of servers, or their clocks. Counts in Redis use only the Redis server's clock. A denied request
//! is not charged.
//!
//! A check has a deadline. A task of the limiter connects to the store, and no request waits for it longer than the deadline.
//! During an outage, [`OnError`] answers. A check is executed at most once, so a lost answer never leads to a second charge.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `redis` | yes | [`RateGuard::redis`]: counts shared by all servers; Unix sockets, sentinels and clusters too |
//! | `tls` | no | `rediss://`: Redis over TLS |
//! | `upstash` | no | `RateGuard::upstash`: counts in Redis over HTTPS, by Upstash's REST protocol; does not need `redis` |
//! | `metrics` | no | counters, gauges and histograms through the `metrics` facade ([names](guide::metrics_and_logs)) |
//! | `axum-extra` | no | limited handlers with axum-extra's typed paths: `typed_get(show)` |
//! | `aide` | no | limited handlers in documents made by aide, each with its 429 and its limits in words |
//! | `utoipa` | no | the same in documents made by utoipa |
//! | `serde` | no | `Quota`, `Algorithm`, `OnError` and `Policy` in configuration files: quotas as text, such as `"5/60s"` |
//! | `tonic` | no | the client's address on tonic's own server, and `tonic::Status` from a denial ([gRPC](guide::grpc)) |
//! | `test-util` | no | `ManualClock`: a clock that only your tests move |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
pub mod __private;
mod algorithm;
mod builder;
mod clock;
mod decision;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guide;
mod http;
mod key;
mod limiter;
mod policy;
mod quota;
mod rate_guard;
mod store;
mod telemetry;

pub use builder::RateGuardBuilder;
pub use clock::Clock;
#[cfg(feature = "test-util")]
pub use clock::ManualClock;
pub use decision::{Check, Decision};
pub use error::{ConfigError, StoreError, StoreErrorKind, UnknownNameError};
pub use http::{
    ClientIp, Decisions, Denied, HandlerLimits, Headers, HttpLimit, KeyBy, Limited, Peer, RateLimitFuture,
    RateLimitLayer, RateLimitService, RateLimited, RequestLimiter, SetupError, UserId, usage,
};
pub use key::{Key, KeyDisplay, ToKey};
pub use limiter::PolicyInfo;
pub use policy::{OnError, Policy, PolicyNameError};
pub use quota::{Algorithm, ParseQuotaError, Quota, QuotaError};
pub use rate_guard::RateGuard;
#[doc(alias = "limit")]
#[doc(alias = "throttle")]
#[doc(alias = "decorator")]
pub use rateguard_macros::rate_limit;

/// The programs in the README compile.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// So does the program in llms.txt.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../../llms.txt")]
struct Llms;
