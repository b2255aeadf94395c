//! Mistakes in how a program is set up. They are answered with 500 and logged once, with the line to add.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

/// What is missing in the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SetupError {
    /// A handler with the attribute in an app without the layer.
    LayerMissing { handler: &'static str },
    /// A limit by address in an app that does not provide addresses. Tells whether a closure of the program's was asked.
    PeerUnknown { asked: bool },
    /// A limit by a path parameter that the route does not capture.
    ParameterNotCaptured { limited_by: &'static str, parameter: Cow<'static, str> },
    /// Authentication that runs after a limit that counts by user.
    AuthenticationTooLate,
}

impl SetupError {
    /// Logs each mistake once; the same one at another handler is another mistake.
    pub(super) fn log(&self) {
        // Nothing of a request is in the text, so there are at most as many as the program has handlers and layers.
        static LOGGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let text = self.to_string();
        if LOGGED.lock().unwrap_or_else(PoisonError::into_inner).insert(text) {
            if tracing::dispatcher::has_been_set() {
                tracing::error!("rateguard: {self}");
            } else {
                // Without a subscriber nobody would learn of it.
                eprintln!("rateguard: {self}");
            }
        }
    }

    pub(super) fn response(&self) -> Response {
        self.log();
        let mut response =
            Response::new(Body::from("The rate limit of this route is not set up; the server's log says how."));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

impl From<SetupError> for Response {
    fn from(error: SetupError) -> Response {
        error.response()
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::LayerMissing { handler } => write!(
                f,
                "`{handler}` has #[rate_limit], but the app has no limiter, so it answers 500. Add to the router, after \
                 its routes: .layer(rateguard::RateLimitLayer::new(limiter))"
            ),
            SetupError::PeerUnknown { asked: false } => f.write_str(
                "a limit by IP address needs the other end of the connection, and the app does not provide it, so it \
                 answers 500. Serve TCP with: axum::serve(listener, \
                 app.into_make_service_with_connect_info::<std::net::SocketAddr>()); a Unix socket with: \
                 axum::serve(listener, app.into_make_service_with_connect_info::<rateguard::Peer>()), and \
                 .trusted_proxies([\"unix\"]) on the limiter's builder if a proxy connects to it. If the app has a connect \
                 info of another type, read it on the limiter's builder: .peer(|extensions| \
                 Some(extensions.get::<axum::extract::ConnectInfo<MyType>>()?.0.address)). In a test without a connection: \
                 .layer(axum::extract::connect_info::MockConnectInfo(std::net::SocketAddr::from(([127, 0, 0, 1], 1))))",
            ),
            SetupError::PeerUnknown { asked: true } => f.write_str(
                "a limit by IP address needs the other end of the connection; the closure that RateGuardBuilder::peer was \
                 given returned None, and the request has no ConnectInfo<std::net::SocketAddr> either, so it answers 500. \
                 Let the closure read the type that into_make_service_with_connect_info is given",
            ),
            SetupError::AuthenticationTooLate => f.write_str(
                "a RateLimitLayer that counts by user ran before the layer that sets rateguard::UserId, so it counted by \
                 address instead. Layers added later run earlier: add the authentication layer after the RateLimitLayer",
            ),
            SetupError::ParameterNotCaptured { limited_by, parameter } => write!(
                f,
                "`{limited_by}` is limited by \"path:{parameter}\", but its route captures no `{parameter}`, so it answers \
                 500. Add {{{parameter}}} to the route's path, or correct the key"
            ),
        }
    }
}
