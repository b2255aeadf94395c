//! Mistakes in how a program is put together. They are answered with 500 and said once, with the line to write.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

/// What is missing in the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Misuse {
    /// A handler with the attribute in an app without the layer.
    LayerMissing { handler: &'static str },
    /// A limit by address in an app that does not know addresses, even if a closure of the program's was asked.
    PeerUnknown { asked: bool },
    /// A limit by a path parameter that the route does not capture.
    ParameterNotCaptured { handler: &'static str, parameter: Cow<'static, str> },
    /// Authentication that runs after a limit that counts by user.
    AuthenticationTooLate,
}

impl Misuse {
    /// Says each mistake once: another handler's is another.
    pub(super) fn say(&self) {
        // As many as a program has handlers and layers: nothing of a request is in the text.
        static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let text = self.to_string();
        if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(text) {
            if tracing::dispatcher::has_been_set() {
                tracing::error!("rateguard: {self}");
            } else {
                // Nobody listens to the log, and nobody would guess.
                eprintln!("rateguard: {self}");
            }
        }
    }

    pub(super) fn response(&self) -> Response {
        self.say();
        let mut response =
            Response::new(Body::from("The rate limit of this route is not set up; the server's log says how."));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

impl From<Misuse> for Response {
    fn from(misuse: Misuse) -> Response {
        misuse.response()
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::LayerMissing { handler } => write!(
                f,
                "`{handler}` has #[rate_limit], but the app has no limiter, so it answers 500. Add to the router, after \
                 its routes: .layer(rateguard::RateLimitLayer::new(limiter))"
            ),
            Misuse::PeerUnknown { asked: false } => f.write_str(
                "a limit by IP address needs the other end of the connection, and the app does not provide it, so it \
                 answers 500. Serve TCP with: axum::serve(listener, \
                 app.into_make_service_with_connect_info::<std::net::SocketAddr>()); a Unix socket with: \
                 axum::serve(listener, app.into_make_service_with_connect_info::<rateguard::Peer>()), and \
                 .trusted_proxies([\"unix\"]) on the limiter's builder if a proxy connects to it. If the app has a connect \
                 info of another type, read it on the limiter's builder: .peer(|extensions| \
                 Some(extensions.get::<axum::extract::ConnectInfo<MyType>>()?.0.address)). In a test without a connection: \
                 .layer(axum::extract::connect_info::MockConnectInfo(std::net::SocketAddr::from(([127, 0, 0, 1], 1))))",
            ),
            Misuse::PeerUnknown { asked: true } => f.write_str(
                "a limit by IP address needs the other end of the connection; the closure that RateGuardBuilder::peer was \
                 given returned None, and the request has no ConnectInfo<std::net::SocketAddr> either, so it answers 500. \
                 Let the closure read the type that into_make_service_with_connect_info is given",
            ),
            Misuse::AuthenticationTooLate => f.write_str(
                "a RateLimitLayer that counts by user ran before the layer that sets rateguard::UserId, so it counted by \
                 address instead. Layers added later run earlier: add the authentication layer after the RateLimitLayer",
            ),
            Misuse::ParameterNotCaptured { handler, parameter } => write!(
                f,
                "`{handler}` is limited by \"path:{parameter}\", but its route captures no `{parameter}`, so it answers \
                 500. Add {{{parameter}}} to the route's path, or correct the key"
            ),
        }
    }
}
