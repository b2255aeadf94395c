//! A login in which only failures count: a user with the right password is never locked out by logging in.
//!
//! ```text
//! cargo run --example login
//! curl -i -d 'account=alice&password=wrong' http://127.0.0.1:3000/login            # 401, and one attempt is used
//! for i in 1 2 3 4 5; do curl -s -o /dev/null -w '%{http_code}\n' -d 'account=alice&password=wrong' http://127.0.0.1:3000/login; done
//! curl -i -d 'account=alice&password=wonderland' http://127.0.0.1:3000/login       # 429: even the right password is denied now
//! curl -i -d 'account=bob&password=builder' http://127.0.0.1:3000/login            # 200, as often as you like
//! ```

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::routing::post;
use rateguard::{RateGuard, RateLimitLayer, rate_limit};
use serde::Deserialize;

#[derive(Deserialize)]
struct Login {
    account: String,
    password: String,
}

/// Stands for checking the hash of a password.
fn is_right(login: &Login) -> bool {
    matches!((login.account.as_str(), login.password.as_str()), ("alice", "wonderland") | ("bob", "builder"))
}

// The charge is made before the password is checked, and it is given back if the password was right. So a thousand
// simultaneous guesses are still only five guesses.
//
// - Five wrong guesses per hour for one account from one address. With the account alone as the key, anyone could lock out
//   anyone else.
// - Twenty wrong guesses per hour from one address for any account: one password tried on many accounts.
// - During an outage, no client may guess: `on_error = "closed"`.
#[rate_limit(limit = 5, window = "1h", name = "login-account", key = ("ip", login.account.to_lowercase()),
             on_error = "closed", refund_if = |response| response.status().is_success())]
#[rate_limit(limit = 20, window = "1h", name = "login-address", key = "ip",
             on_error = "closed", refund_if = |response| response.status().is_success())]
async fn log_in(Form(login): Form<Login>) -> (StatusCode, &'static str) {
    if is_right(&login) { (StatusCode::OK, "welcome\n") } else { (StatusCode::UNAUTHORIZED, "wrong password\n") }
}

fn app(limiter: RateGuard) -> Router {
    Router::new().route("/login", post(log_in)).layer(RateLimitLayer::new(limiter))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(RateGuard::from_env()?);
    let listener = rateguard_examples::listen(&["curl -i -d 'account=alice&password=wrong' URL/login"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use tower::ServiceExt;

    use super::*;

    async fn log_in(app: &Router, from: [u8; 4], account: &str, password: &str) -> u16 {
        let request = Request::post("/login")
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(rateguard_examples::client(from))
            .body(Body::from(format!("account={account}&password={password}")))
            .unwrap();
        app.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    const ATTACKER: [u8; 4] = [203, 0, 113, 66];
    const ALICE: [u8; 4] = [203, 0, 113, 7];

    #[tokio::test]
    async fn success_costs_nothing_and_failures_are_counted_by_account_and_address() {
        let app = app(RateGuard::memory());
        for _ in 0..30 {
            assert_eq!(log_in(&app, ALICE, "alice", "wonderland").await, 200);
        }
        for account in ["alice", "Alice", "ALICE", "alice", "alicE"] {
            assert_eq!(log_in(&app, ATTACKER, account, "wrong").await, 401);
        }
        assert_eq!(log_in(&app, ATTACKER, "alice", "wonderland").await, 429, "the sixth guess is not checked");
        assert_eq!(log_in(&app, ALICE, "alice", "wonderland").await, 200, "alice herself is not locked out");
    }

    #[tokio::test]
    async fn one_address_does_not_try_one_password_at_every_account() {
        let app = app(RateGuard::memory());
        for account in 0..20 {
            assert_eq!(log_in(&app, ATTACKER, &format!("user-{account}"), "123456").await, 401);
        }
        assert_eq!(log_in(&app, ATTACKER, "user-20", "123456").await, 429);
    }
}
