//! Rate limiting for axum as one line above a handler.
//!
//! ```
//! use axum::{Router, routing::get};
//! use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer, rate_limit};
//! use std::time::Duration;
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
//! let app = Router::new()
//!     .route("/search", get(search))
//!     .layer(RateLimitLayer::new(limiter).limit("global", Quota::sliding_window(100, Duration::from_secs(60)), KeyBy::Ip));
//! // axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//! # let app = app.layer(MockConnectInfo(SocketAddr::from(([203, 0, 113, 7], 50_000))));
//! # let ask = || async {
//! #     let request = Request::builder().uri("/search").body(Body::empty()).unwrap();
//! #     app.clone().oneshot(request).await.unwrap()
//! # };
//!
//! // Two requests are served; the third is refused before the handler runs.
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
//! - [`rate_limit`](macro@rate_limit), the attribute. It goes above a handler; all it needs is the layer further out.
//! - [`RateLimitLayer`], which installs the limiter for the attributes, may carry limits of its own
//!   ([`KeyBy`] says whom they count), and writes the quota headers, once.
//! - [`RateGuard`], the limiter: [`memory`](RateGuard::memory), [`redis`](RateGuard::redis),
//!   [`from_env`](RateGuard::from_env), or with settings of your own from the [`builder`](RateGuard::builder). Use it
//!   without HTTP through [`check`](RateGuard::check) and [`check_all`](RateGuard::check_all).
//! - [`Quota`] says what is allowed and how it is counted, [`Policy`] gives it a name, [`Key`] says who is counted,
//!   [`Decision`] is the answer.
//!
//! # Chapters
//!
//! - [Mistakes people make](guide::faq): symptom, reason, and the lines to write.
//! - [Four ways to count](guide::algorithms): what each promises and costs.
//! - [Security](guide::security): what can be attempted against a limit; who the client is, behind proxies as well.
//! - [When Redis is not well](guide::outages): what holds then, and what to do.
//! - [Handlers that block](guide::handlers_that_block): how to recognize them, what to write instead, and why limits hold
//!   meanwhile.
//! - [What operators see and set](guide::operations): metrics, the log, shadows, other numbers for the same program.
//! - [How far it goes](guide::scale): what a check costs, what one Redis carries, and what to do beyond.
//! - [Mistakes of others, and what this does about each](guide::mistakes_of_others), with its test.
//! - [Testing your limits](guide::testing), without waiting.
//! - [Is this the right one?](guide::choosing): what else there is.
//!
//! # What is promised
//!
//! The sliding window is exact: in no interval of one window's length are more than `limit` units allowed, whatever
//! the concurrency, the number of servers, or their clocks; for what is counted in Redis, only the Redis server's clock
//! matters. What is refused is not charged.
//!
//! A check answers within its deadline. No request waits for a connection: a task of the limiter's own connects and
//! connects again, and until it has, [`OnError`] answers. A check is sent at most once, so a lost answer never charges
//! twice.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `redis` | yes | [`RateGuard::redis`]: counts shared by all servers; also by Unix socket, sentinels, or over a cluster |
//! | `tls` | no | `rediss://`: Redis over TLS |
//! | `upstash` | no | `RateGuard::upstash`: counts in Redis over HTTPS, by Upstash's REST protocol; without `redis` as well |
//! | `metrics` | no | counters, gauges and histograms through the `metrics` facade ([names](guide::operations)) |
//! | `axum-extra` | no | limited handlers with axum-extra's typed paths: `typed_get(show)` |
//! | `aide` | no | limited handlers in documents made by aide, each with its 429 and its limits in words |
//! | `utoipa` | no | the same in documents made by utoipa |
//! | `test-util` | no | `ManualClock`: a clock for tests, moved by hand |

#![cfg_attr(
    not(feature = "_shared"),
    allow(
        dead_code,
        irrefutable_let_patterns,
        unused_variables,
        clippy::unused_async,
        clippy::needless_pass_by_value,
        reason = "for stores that servers share"
    )
)]

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
mod store;
mod telemetry;

pub use builder::RateGuardBuilder;
pub use clock::Clock;
#[cfg(feature = "test-util")]
pub use clock::ManualClock;
pub use decision::Decision;
pub use error::{ConfigError, StoreError, StoreErrorKind};
pub use http::client_ip::Peer;
pub use http::denied::Denied;
pub use http::headers::Headers;
pub use http::{KeyBy, Limited, RateLimitFuture, RateLimitLayer, RateLimitService, RateLimited, UserId};
pub use key::{IntoKey, Key};
pub use limiter::{Check, KnownPolicy, RateGuard};
pub use policy::{OnError, Policy, PolicyNameError};
pub use quota::{Algorithm, ParseQuotaError, Quota, QuotaError};
pub use rateguard_macros::rate_limit;

/// The programs in the README compile.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../../README.md")]
struct Readme;
