//! Overrides: other quotas for the same program, on start from the environment or a file, and while it runs.
//!
//! ```text
//! cargo run --example quotas
//! curl http://127.0.0.1:3000/admin/quotas                                   # the policies, with their quotas
//! for i in 1 2 3; do curl -i http://127.0.0.1:3000/search; done             # 5 per minute, as the program says
//! curl -X PUT -d '2/60s' http://127.0.0.1:3000/admin/quotas/search          # at once, on this server
//! curl -i http://127.0.0.1:3000/search                                      # 429
//! curl -X DELETE http://127.0.0.1:3000/admin/quotas/search                  # 5 per minute again
//!
//! RATEGUARD_QUOTAS='search=20/60s; everything=token_bucket:50/1s:burst=100' cargo run --example quotas
//! RATEGUARD_QUOTAS='search=many' cargo run --example quotas                 # an error with the correct form
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer, handlers, rate_limit};

/// An explicit name, since operators will write it.
#[rate_limit(limit = 5, window = 60, name = "search")]
async fn search() -> &'static str {
    "results\n"
}

/// The policies of a layer are listed from the start, those of a handler because it is registered.
async fn list(State(limiter): State<RateGuard>) -> String {
    let text = |quota: Option<Quota>| quota.map_or("by request".to_owned(), |quota| quota.to_string());
    let line = |policy: &rateguard::PolicyInfo| {
        let written = if policy.is_overridden() {
            format!("    # written: {}", text(policy.default_quota()))
        } else {
            String::new()
        };
        format!("{} = {}{written}\n", policy.name(), text(policy.quota()))
    };
    limiter.policies().iter().map(line).collect()
}

async fn set(State(limiter): State<RateGuard>, Path(name): Path<String>, quota: String) -> (StatusCode, String) {
    let quota = match quota.parse::<Quota>() {
        Ok(quota) => quota,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    if limiter.set_quota(&name, quota) {
        return (StatusCode::OK, format!("{name} = {quota}\n"));
    }
    // The override would wait for a policy with that name. Here, an unknown name is a typing error.
    limiter.unset_quota(&name);
    let known: Vec<_> = limiter.policies().iter().map(|policy| policy.name().to_owned()).collect();
    (StatusCode::NOT_FOUND, format!("no policy is named {name}; there are {}\n", known.join(", ")))
}

async fn unset(State(limiter): State<RateGuard>, Path(name): Path<String>) -> StatusCode {
    if limiter.unset_quota(&name) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

fn app(limiter: RateGuard) -> Router {
    // Otherwise a handler's policy is known from its first request on.
    limiter.register_handlers(handlers![search]);
    // Do not leave such routes open to everyone: put them on a port of their own, or behind authentication.
    let admin = Router::new()
        .route("/admin/quotas", get(list))
        .route("/admin/quotas/{name}", put(set).delete(unset))
        .with_state(limiter.clone());
    Router::new()
        .route("/search", get(search))
        .layer(RateLimitLayer::new(limiter).limit(
            "everything",
            Quota::sliding_window(100, Duration::from_secs(60)),
            KeyBy::Ip,
        ))
        .merge(admin)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // If RATEGUARD_QUOTAS has a name that no policy has, the log says so after a minute, with the known names.
    tracing_subscriber::fmt().init();
    // Reads REDIS_URL, RATEGUARD_QUOTAS and RATEGUARD_QUOTAS_FILE.
    let app = app(RateGuard::from_env()?);
    let listener = rateguard_examples::listen(&["curl -i URL/search", "curl URL/admin/quotas"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router, method: &str, path: &str, body: &'static str) -> (u16, String) {
        let client = rateguard_examples::client([203, 0, 113, 7]);
        let request = Request::builder().method(method).uri(path).extension(client).body(Body::from(body)).unwrap();
        let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 10_000).await.unwrap();
        (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_quota_is_changed_while_the_program_runs_and_what_was_counted_stays_counted() {
        let app = app(RateGuard::memory());
        for _ in 0..2 {
            assert_eq!(ask(&app, "GET", "/search", "").await.0, 200);
        }
        let changed = ask(&app, "PUT", "/admin/quotas/search", "2/60s").await;
        assert_eq!(changed, (200, "search = 2/1m\n".to_owned()));
        assert_eq!(ask(&app, "GET", "/search", "").await.0, 429);
        let listed = ask(&app, "GET", "/admin/quotas", "").await.1;
        assert_eq!(listed, "everything = 100/1m\nsearch = 2/1m    # written: 5/1m\n");
        assert_eq!(ask(&app, "DELETE", "/admin/quotas/search", "").await.0, 204);
        assert_eq!(ask(&app, "GET", "/search", "").await.0, 200);
    }

    #[tokio::test]
    async fn an_invalid_override_is_an_error_with_the_valid_ones() {
        let app = app(RateGuard::memory());
        let (status, said) = ask(&app, "PUT", "/admin/quotas/everythin", "2/60s").await;
        assert_eq!((status, said.as_str()), (404, "no policy is named everythin; there are everything, search\n"));
        let (status, said) = ask(&app, "PUT", "/admin/quotas/everything", "none").await;
        assert_eq!(status, 400);
        assert!(said.contains("5/60s"), "{said}");
    }
}
