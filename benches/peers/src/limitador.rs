//! limitador: a fixed window in Redis. It has no layer of its own.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use limitador::AsyncRateLimiter;
use limitador::limit::{Context, Limit, Namespace};
use limitador::storage::redis::AsyncRedisStorage;

use crate::{Allowed, DENY, HOT, SPREAD, routes};

#[derive(Clone)]
struct Limiter {
    limiter: Arc<AsyncRateLimiter>,
    namespace: Namespace,
}

async fn check(State(Limiter { limiter, namespace }): State<Limiter>, request: Request, next: Next) -> Response {
    let Some(value) = request.headers().get("x-api-key").and_then(|value| value.to_str().ok()) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    // Only the boolean is kept: the error cannot be held while the handler runs.
    let limited = {
        let context = Context::from(HashMap::from([("user_id".to_owned(), value.to_owned())]));
        limiter.check_rate_limited_and_update(&namespace, &context, 1).await.map(|result| result.limited).ok()
    };
    match limited {
        Some(false) => next.run(request).await,
        Some(true) => StatusCode::TOO_MANY_REQUESTS.into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn name(allowed: Allowed) -> String {
    format!("limit-{}", allowed.requests)
}

pub(crate) async fn app(url: &str) -> Router {
    let storage = AsyncRedisStorage::new(url).await.expect("a connection");
    let limiter = AsyncRateLimiter::new_with_storage(Box::new(storage));
    for allowed in [SPREAD, HOT, DENY] {
        let by_user = vec!["user_id".try_into().expect("an expression")];
        let limit = Limit::new(name(allowed), allowed.requests.into(), allowed.seconds.into(), vec![], by_user);
        limiter.add_limit(limit);
    }
    let limiter = Arc::new(limiter);
    routes(|handler, allowed| {
        let state = Limiter { limiter: Arc::clone(&limiter), namespace: name(allowed).into() };
        handler.layer(from_fn_with_state(state, check))
    })
}
