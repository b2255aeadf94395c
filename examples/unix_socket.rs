//! An app on a Unix socket behind nginx, which names the clients. The app also listens on a port, for clients on this machine.
//!
//! ```text
//! mkdir -p /tmp/rateguard
//! SOCKET=/tmp/rateguard/app.sock cargo run --example unix_socket
//! nginx -p /tmp/rateguard/ -c "$PWD/examples/nginx.conf"                # in another terminal
//! curl -i http://127.0.0.1:8080/                                       # through nginx: your address is counted
//! curl -i -H 'X-Forwarded-For: 6.6.6.6' http://127.0.0.1:8080/         # a header of your own changes nothing
//! curl -i -H 'X-Forwarded-For: 6.6.6.6' http://127.0.0.1:3000/         # nor here, where no proxy is trusted
//! ```
//!
//! A Unix socket has no addresses. Serve the app with `into_make_service_with_connect_info::<Peer>()`, so that the limiter
//! knows the kind of connection. `trusted_proxies(["unix"])` says that the other end of the socket is a proxy. So nobody else
//! may open the socket: put it into a directory that only nginx and the app may enter.

use std::env;
use std::error::Error;

use axum::Router;
use axum::routing::get;
use rateguard::{ConfigError, Peer, RateGuard, RateGuardBuilder, RateLimitLayer, rate_limit};

#[rate_limit(limit = 3, window = 60, key = "ip")]
async fn index() -> &'static str {
    "hello\n"
}

fn app(limiter: RateGuardBuilder) -> Result<Router, ConfigError> {
    let limiter = limiter.trusted_proxies(["unix"]).build()?;
    Ok(Router::new().route("/", get(index)).layer(RateLimitLayer::new(limiter)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(RateGuard::builder().store_from_env())?;
    let port = rateguard_examples::listen(&["curl -i URL/"]).await?;
    match env::var("SOCKET") {
        Ok(path) => {
            listen_on_socket(&path, app.clone())?;
            println!("Listening on {path} as well.");
        }
        Err(_) => println!("SOCKET=/path/to/app.sock makes it listen on a Unix socket as well."),
    }
    // One type for both kinds of listeners.
    axum::serve(port, app.into_make_service_with_connect_info::<Peer>()).await?;
    Ok(())
}

#[cfg(unix)]
fn listen_on_socket(path: &str, app: Router) -> Result<(), Box<dyn Error>> {
    let socket = tokio::net::UnixListener::bind(path).map_err(|error| format!("cannot listen on {path}: {error}"))?;
    let service = app.into_make_service_with_connect_info::<Peer>();
    tokio::spawn(async move { axum::serve(socket, service).await });
    Ok(())
}

#[cfg(not(unix))]
fn listen_on_socket(_: &str, _: Router) -> Result<(), Box<dyn Error>> {
    Err("this system has no Unix sockets".into())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::{ConnectInfo, Request};
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router, peer: Peer, forwarded_for: &str) -> u16 {
        let request = Request::get("/")
            .header("x-forwarded-for", forwarded_for)
            .extension(ConnectInfo(peer))
            .body(Body::empty())
            .unwrap();
        app.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn the_header_counts_on_the_socket_and_not_on_the_port() {
        let app = app(RateGuard::builder()).unwrap();
        for (spoofed, status) in [("", 200), ("6.6.6.6, ", 200), ("7.7.7.7, ", 200), ("8.8.8.8, ", 429)] {
            assert_eq!(ask(&app, Peer::Unix, &format!("{spoofed}203.0.113.7")).await, status);
        }
        assert_eq!(ask(&app, Peer::Unix, "203.0.113.8").await, 200, "another client of nginx");
        for (written, status) in [("1.1.1.1", 200), ("2.2.2.2", 200), ("3.3.3.3", 200), ("4.4.4.4", 429)] {
            assert_eq!(ask(&app, Peer::Ip([127, 0, 0, 1].into()), written).await, status);
        }
    }
}
