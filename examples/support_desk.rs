//! A support desk: look up what a client has used, and give it a fresh quota. Behind a token, and on every server.
//!
//! ```text
//! cargo run --example support_desk
//! for i in 1 2 3 4; do curl -s -w ' %{http_code}\n' -d 'address=ada@example.com' http://127.0.0.1:3000/forgot-password; done
//!
//! desk() { curl -s -H 'authorization: Bearer token-of-the-desk' "$@"; }
//! desk http://127.0.0.1:3000/desk/policies
//! desk -d 'policy=mails&kind=form.address&value=ada@example.com' http://127.0.0.1:3000/desk/look-up
//! desk -d 'policy=mails&kind=form.address&value=ada@example.com' http://127.0.0.1:3000/desk/reset
//! curl -i -d 'address=ada@example.com' http://127.0.0.1:3000/forgot-password      # 200 again
//! ```
//!
//! What the desk types in as `kind` and `value` follows from the attribute's `key`:
//!
//! | attribute | key in code | `kind`, `value` |
//! |---|---|---|
//! | `key = "ip"` | `Key::ip(address)` | `ip`, `203.0.113.7` |
//! | `key = "user"` | `Key::user(id)` | `user`, `42` |
//! | `key = "header:x-api-key"` | `Key::secret("header.x-api-key", value)` | `header.x-api-key`, the API key |
//! | `key = "path:tenant"` | `Key::new("path.tenant", value)` | `path.tenant`, `acme` |
//! | `key = form.address` | `Key::new("form.address", value)` | `form.address`, `ada@example.com` |
//!
//! The chapter `rateguard::guide::support_desk` has the whole table.

use std::error::Error;
use std::fmt::{Display, Write};
use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::{Form, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use rateguard::{HttpLimit, Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, handlers, rate_limit};
use serde::Deserialize;

#[derive(Deserialize)]
struct ForgotPassword {
    address: String,
}

/// Three mails per hour to one address.
#[rate_limit(limit = 3, window = "1h", key = form.address, name = "mails", unit = "mails")]
async fn forgot_password(Form(form): Form<ForgotPassword>) -> String {
    format!("a mail is on its way to {}\n", form.address)
}

#[rate_limit(limit = 5, window = "1m", key = "ip", name = "search")]
async fn search() -> &'static str {
    "results\n"
}

#[rate_limit(limit = 100, window = "1h", key = "header:x-api-key", name = "data")]
async fn data() -> &'static str {
    "data\n"
}

/// What the desk types in. It comes in the body: addresses and API keys do not belong into URLs, which are logged.
#[derive(Deserialize)]
struct Client {
    policy: String,
    kind: String,
    #[serde(default)]
    value: String,
    /// Of a policy whose quota depends on the request: the client's, such as `5/1m`.
    quota: Option<Quota>,
}

/// A status with words, for the employee.
type Answer = (StatusCode, String);

impl Client {
    /// The policy, with the quota that applies now.
    fn policy(&self, limiter: &RateGuard) -> Result<Policy, Answer> {
        let known = limiter.policies().into_iter().find(|known| known.name() == self.policy);
        let known = known.ok_or_else(|| (StatusCode::NOT_FOUND, format!("no policy is named {}\n", self.policy)))?;
        let quota =
            self.quota.or(known.quota()).ok_or_else(|| wrong("this quota depends on the request: say which one"))?;
        Policy::try_new(self.policy.clone(), quota).map_err(wrong)
    }

    /// The key, as in the table.
    fn key(&self) -> Result<Key, Answer> {
        Ok(match &*self.kind {
            "ip" => Key::ip(self.value.parse::<IpAddr>().map_err(wrong)?),
            "global" => Key::global(),
            kind if kind.starts_with("header.") || kind.starts_with("cookie.") => {
                Key::secret(kind.to_owned(), &self.value)
            }
            kind => Key::new(kind.to_owned(), &self.value),
        })
    }
}

fn wrong(why: impl Display) -> Answer {
    (StatusCode::BAD_REQUEST, format!("{why}\n"))
}

/// The store does not answer.
fn no_answer(error: impl Display) -> Answer {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
}

/// All policies: those of handlers are registered before their first request.
async fn policies(State(limiter): State<RateGuard>) -> String {
    limiter.policies().iter().fold(String::new(), |mut text, policy| {
        let quota = policy.quota().map_or("by request".to_owned(), |quota| quota.to_string());
        let _ = writeln!(text, "{} = {quota}", policy.name());
        text
    })
}

async fn look_up(State(limiter): State<RateGuard>, Form(client): Form<Client>) -> Result<String, Answer> {
    let (policy, key) = (client.policy(&limiter)?, client.key()?);
    // `peek_with` counts nothing, and takes the quota as it is given: also that of a plan.
    let told = limiter.peek_with(&policy, policy.quota(), &key).await.map_err(no_answer)?;
    Ok(format!(
        "{} of {} left; all of them in {} s\n",
        told.remaining(),
        told.limit(),
        told.reset_after().as_secs_f64().ceil()
    ))
}

async fn reset(State(limiter): State<RateGuard>, Form(client): Form<Client>) -> Result<&'static str, Answer> {
    limiter.reset(&client.policy(&limiter)?, &client.key()?).await.map_err(no_answer)?;
    Ok("the client has its whole quota again, on every server within a second\n")
}

/// A real program asks who the employee is, and keeps a record of what was reset.
async fn authenticate(request: Request, next: Next) -> Response {
    let token = request.headers().get(AUTHORIZATION);
    if token.is_none_or(|token| token != "Bearer token-of-the-desk") {
        return (StatusCode::UNAUTHORIZED, "this is for the support desk\n").into_response();
    }
    next.run(request).await
}

fn app(limiter: RateGuard) -> Router {
    // From now on the desk knows these policies on every server, also on one that has had no such request yet.
    limiter.register_handlers(handlers![forgot_password, search, data]);
    // Ten guesses of the token per hour from one address.
    let guesses = HttpLimit::new("desk-guesses", Quota::per_hour(10), KeyBy::Ip)
        .refund_if(|response| response.status() != StatusCode::UNAUTHORIZED);
    let desk = Router::new()
        .route("/policies", get(policies))
        .route("/look-up", post(look_up))
        .route("/reset", post(reset))
        .layer(middleware::from_fn(authenticate))
        .layer(RateLimitLayer::new(limiter.clone()).rule(guesses))
        .with_state(limiter.clone());
    Router::new()
        .route("/forgot-password", post(forgot_password))
        .route("/search", get(search))
        .route("/data", get(data))
        .layer(RateLimitLayer::new(limiter))
        .nest("/desk", desk)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(RateGuard::from_env()?);
    let listener = rateguard_examples::listen(&[
        "curl -i -d 'address=ada@example.com' URL/forgot-password",
        "curl -H 'authorization: Bearer token-of-the-desk' URL/desk/policies",
        "curl -H 'authorization: Bearer token-of-the-desk' -d 'policy=mails&kind=form.address&value=ada@example.com' URL/desk/look-up",
    ])
    .await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    use super::*;

    async fn send(app: &Router, request: axum::http::request::Builder, body: &'static str) -> (u16, String) {
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(rateguard_examples::client([203, 0, 113, 7]))
            .body(Body::from(body))
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn desk(app: &Router, path: &str, body: &'static str) -> (u16, String) {
        let request = if body.is_empty() { Request::get(path) } else { Request::post(path) };
        send(app, request.header(AUTHORIZATION, "Bearer token-of-the-desk"), body).await
    }

    const ADA: &str = "policy=mails&kind=form.address&value=ada%40example.com";

    #[tokio::test]
    async fn the_desk_looks_a_client_up_and_gives_it_a_fresh_quota() {
        let app = app(RateGuard::memory());
        let ask = async || send(&app, Request::post("/forgot-password"), "address=ada%40example.com").await.0;
        assert_eq!([ask().await, ask().await, ask().await, ask().await], [200, 200, 200, 429]);
        let (status, said) = desk(&app, "/desk/look-up", ADA).await;
        assert!(status == 200 && said.starts_with("0 of 3 left; all of them in 3600 s"), "{said}");
        assert_eq!(desk(&app, "/desk/reset", ADA).await.0, 200);
        assert!(desk(&app, "/desk/look-up", ADA).await.1.starts_with("3 of 3 left"));
        assert_eq!(ask().await, 200);
    }

    #[tokio::test]
    async fn each_kind_of_key_is_found() {
        let app = app(RateGuard::memory());
        send(&app, Request::get("/search"), "").await;
        send(&app, Request::get("/data").header("x-api-key", "key-of-anna"), "").await;
        for (client, said) in [
            ("policy=search&kind=ip&value=203.0.113.7", "4 of 5 left"),
            ("policy=search&kind=ip&value=203.0.113.8", "5 of 5 left"),
            ("policy=data&kind=header.x-api-key&value=key-of-anna", "99 of 100 left"),
            ("policy=data&kind=header.x-api-key&value=key-of-anna&quota=10/1h", "9 of 10 left"),
        ] {
            let answer = desk(&app, "/desk/look-up", client).await;
            assert!(answer.1.starts_with(said), "{client}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn a_server_without_a_request_so_far_knows_the_policies_and_a_mistake_is_told() {
        let app = app(RateGuard::memory());
        let (_, policies) = desk(&app, "/desk/policies", "").await;
        assert_eq!(policies, "data = 100/1h\ndesk-guesses = 10/1h\nmails = 3/1h\nsearch = 5/1m\n");
        assert_eq!(desk(&app, "/desk/look-up", "policy=mail&kind=ip&value=::1").await.0, 404);
        assert_eq!(desk(&app, "/desk/look-up", "policy=search&kind=ip&value=ada").await.0, 400);
    }

    #[tokio::test]
    async fn the_desk_is_closed_to_others_and_guesses_are_limited() {
        let app = app(RateGuard::memory());
        for _ in 0..20 {
            assert_eq!(desk(&app, "/desk/look-up", ADA).await.0, 200, "the desk itself is not limited");
        }
        for _ in 0..10 {
            assert_eq!(send(&app, Request::post("/desk/reset"), ADA).await.0, 401);
        }
        assert_eq!(send(&app, Request::post("/desk/reset"), ADA).await.0, 429);
    }
}
