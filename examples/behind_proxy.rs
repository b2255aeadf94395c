//! Behind a reverse proxy: which proxies may name the client's address.
//!
//! ```text
//! cargo run --example behind_proxy                 # trusts proxies on this machine
//! curl -i -H 'X-Forwarded-For: 203.0.113.7' http://127.0.0.1:3000/         # you are the proxy, and 203.0.113.7 is counted
//! curl -i -H 'X-Forwarded-For: 6.6.6.6, 203.0.113.7' http://127.0.0.1:3000/    # 6.6.6.6, which the client wrote, is not counted
//! TRUSTED_PROXIES='10.0.0.0/8 192.0.2.1' cargo run --example behind_proxy   # trusts other proxies: now 127.0.0.1 is counted
//! ```
//!
//! A proxy must append the address that it sees, as nginx does with
//! `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`. Name only the networks of your
//! proxies: anyone else in those networks can name any client.

use std::env;
use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use rateguard::{ConfigError, RateGuard, RateGuardBuilder, RateLimitLayer, rate_limit};

#[rate_limit(limit = 3, window = 60, key = "ip")]
async fn index() -> &'static str {
    "hello\n"
}

fn app(limiter: RateGuardBuilder, trusted: &str) -> Result<Router, ConfigError> {
    let limiter = limiter
        // Networks, addresses, "loopback", "private". Without this line no header is read.
        .trusted_proxies(trusted.split_whitespace())
        // If a CDN writes the client's address into a header of its own, read only that header:
        // .client_ip_header("cf-connecting-ip")
        .build()?;
    Ok(Router::new().route("/", get(index)).layer(RateLimitLayer::new(limiter)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let trusted = env::var("TRUSTED_PROXIES").unwrap_or_else(|_| "loopback".to_owned());
    let app = app(RateGuard::builder().store_from_env(), &trusted)?;
    let listener = rateguard_examples::listen(&["curl -i -H 'X-Forwarded-For: 203.0.113.7' URL/"]).await?;
    // The address of the connection. With a proxy in front, this is the proxy's address.
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router, connection: [u8; 4], forwarded_for: &str) -> u16 {
        let request = Request::get("/")
            .header("x-forwarded-for", forwarded_for)
            .extension(rateguard_examples::client(connection))
            .body(Body::empty())
            .unwrap();
        app.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn the_proxys_address_counts_and_the_clients_own_does_not() {
        let app = app(RateGuard::builder(), "10.0.0.0/8").unwrap();
        for (spoofed, status) in [("", 200), ("6.6.6.6, ", 200), ("7.7.7.7, ", 200), ("8.8.8.8, ", 429)] {
            assert_eq!(ask(&app, [10, 0, 0, 1], &format!("{spoofed}203.0.113.7")).await, status);
        }
        assert_eq!(ask(&app, [10, 0, 0, 1], "203.0.113.8").await, 200, "another client of the same proxy");
    }

    #[tokio::test]
    async fn a_client_that_is_not_a_proxy_is_counted_whatever_it_writes() {
        let app = app(RateGuard::builder(), "10.0.0.0/8").unwrap();
        for (written, status) in [("1.1.1.1", 200), ("2.2.2.2", 200), ("3.3.3.3", 200), ("4.4.4.4", 429)] {
            assert_eq!(ask(&app, [203, 0, 113, 9], written).await, status);
        }
    }

    #[test]
    fn an_invalid_network_is_an_error_on_start() {
        let error = app(RateGuard::builder(), "10.0.0.0/8 10.0.0.0/99").unwrap_err().to_string();
        assert!(error.contains("10.0.0.0/99"), "{error}");
    }
}
