//! A handler that tells a client its own quotas.

use std::fmt::Write as _;
use std::pin::Pin;

use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::context::Context;
use super::extract::Head;
use super::grpc::Call;
use super::setup_error::SetupError;
use crate::clock::whole_seconds;
use crate::decision::Decision;
use crate::error::StoreError;
use crate::rate_guard::RateGuard;

/// As many as one request may ask the store about.
const MOST: usize = 16;

/// A handler that tells a client its own quotas, without counting the request against them:
/// `.route("/usage", get(rateguard::usage))`.
///
/// ```json
/// {"quotas":[{"policy":"api","limit":100,"remaining":73,"reset":42}]}
/// ```
///
/// `limit` and `remaining` are units; `reset` is in seconds, until the oldest counted request leaves the window (of a token
/// bucket: until it is full). If the store does not answer, `remaining` and `reset` are `null`.
///
/// It lists the limits of this limiter's layers and handlers that the request's head decides: not those that count by a
/// path parameter or by a handler's arguments, nor those that do not limit this client, nor shadow mode. At most 16, in the
/// order of their registration; the limiter is asked about all of them in one call. A handler's limits are known after its
/// first request, or when they are [registered](crate::RateGuard::register_handlers).
///
/// Anybody can ask, so put it under a limit itself.
pub async fn usage(head: Parts) -> Response {
    let Some(context) = head.extensions.get::<Context>().cloned() else {
        return SetupError::layer_missing("rateguard::usage").response(None, Call::of(&head).as_ref());
    };
    let asked = match ask(&head, context.limiter()) {
        Ok(asked) => asked,
        Err(error) => {
            return error.response(context.limiter().http().on_setup_error.as_ref(), Call::of(&head).as_ref());
        }
    };
    let mut json = String::from("{\"quotas\":[");
    for (i, Asked { policy, limit, answer }) in asked.into_iter().enumerate() {
        // The name of a policy has neither quotes nor backslashes nor control characters.
        let _ = write!(json, "{}{{\"policy\":\"{policy}\",\"limit\":{limit},", if i > 0 { "," } else { "" });
        let _ = match answer.await {
            Ok(decision) => {
                let (remaining, reset) = (decision.remaining(), whole_seconds(decision.reset_after()));
                write!(json, "\"remaining\":{remaining},\"reset\":{reset}}}")
            }
            Err(_) => write!(json, "\"remaining\":null,\"reset\":null}}"),
        };
    }
    json.push_str("]}");
    let mut response = json.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A limit whose count was asked for.
struct Asked {
    policy: String,
    limit: u32,
    answer: Pin<Box<dyn Future<Output = Result<Decision, StoreError>> + Send>>,
}

/// Asks for all of them at once, so that they share a call.
fn ask(head: &Parts, limiter: &RateGuard) -> Result<Vec<Asked>, SetupError> {
    let head = Head::new(head, None, "rateguard::usage", limiter.http());
    let mut asked = Vec::new();
    for limit in &limiter.http().registry.limits() {
        // Checked first, so that the program's closures do not run for it.
        if limiter.limiter().current(limit.policy()).is_shadow() {
            continue;
        }
        let Some(ask) = head.ask_about_client(limit)? else { continue };
        // With its override, if there is one.
        let policy = limiter.limiter().current(&ask.policy);
        asked.push(Asked {
            policy: policy.name().to_owned(),
            limit: policy.quota().capacity(),
            answer: Box::pin(limiter.limiter().peek(&policy, &ask.key)),
        });
        if asked.len() == MOST {
            break;
        }
    }
    Ok(asked)
}
