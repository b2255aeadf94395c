//! Mistakes in how a program is set up. They are answered with 500 and logged once, with the line to add.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::grpc::{Call, Retry};

/// What is missing in the program.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mistake {
    /// A handler with the attribute in an app without the layer.
    LayerMissing { handler: &'static str },
    /// A limit by address in an app that does not provide addresses. Tells whether a closure of the program's was asked.
    PeerUnknown { asked: bool },
    /// The same for a gRPC call: another server is usual there.
    PeerOfCallUnknown,
    /// A limit by a path parameter that the route does not capture.
    ParameterNotCaptured { limited_by: &'static str, parameter: Cow<'static, str> },
    /// Authentication that runs after a limit that counts by user.
    AuthenticationTooLate,
}

/// A mistake in how the program is set up for its limits: the layer is missing, or the address of the connection, or a
/// path parameter. Its [`Display`](fmt::Display) says which lines to add.
///
/// Such a request is answered with `500 Internal Server Error`, unless
/// [`on_setup_error`](crate::RateGuardBuilder::on_setup_error) answers. Each mistake is logged once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupError(Mistake);

/// The program's own answer to requests that it is not set up for.
#[derive(Clone)]
#[allow(clippy::type_complexity, reason = "a closure over an error, once")]
pub(crate) struct OnSetupError(Arc<dyn Fn(&SetupError) -> Response + Send + Sync>);

impl OnSetupError {
    pub(crate) fn new<R: IntoResponse>(answer: impl Fn(&SetupError) -> R + Send + Sync + 'static) -> OnSetupError {
        OnSetupError(Arc::new(move |error| answer(error).into_response()))
    }
}

impl fmt::Debug for OnSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("on_setup_error(..)")
    }
}

impl SetupError {
    pub(super) fn layer_missing(handler: &'static str) -> SetupError {
        SetupError(Mistake::LayerMissing { handler })
    }

    /// `asked`: whether a closure of the program's was asked.
    pub(super) fn peer_unknown(asked: bool, is_grpc: bool) -> SetupError {
        SetupError(if is_grpc && !asked { Mistake::PeerOfCallUnknown } else { Mistake::PeerUnknown { asked } })
    }

    pub(super) fn parameter_not_captured(limited_by: &'static str, parameter: &str) -> SetupError {
        SetupError(Mistake::ParameterNotCaptured { limited_by, parameter: parameter.to_owned().into() })
    }

    pub(super) fn authentication_too_late() -> SetupError {
        SetupError(Mistake::AuthenticationTooLate)
    }

    /// Logs each mistake once; the same one at another handler is another mistake.
    pub(super) fn log(&self) {
        // Nothing of a request is in the text, so there are at most as many as the program has handlers and layers.
        static LOGGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let text = self.to_string();
        if LOGGED.lock().unwrap_or_else(PoisonError::into_inner).insert(text) {
            if tracing::dispatcher::has_been_set() {
                tracing::error!("rateguard: {self}");
            } else {
                // Without a subscriber, the error would be invisible.
                eprintln!("rateguard: {self}");
            }
        }
    }

    /// The answer to the request, by the program itself if it has one.
    pub(super) fn response(&self, answer: Option<&OnSetupError>, call: Option<&Call>) -> Response {
        self.log();
        if let Some(OnSetupError(answer)) = answer {
            return answer(self);
        }
        let text = "The rate limit of this route is not set up; the server's log says how.";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        match call {
            Some(call) => call.answer(status, text, Retry::Unknown),
            None => (status, text).into_response(),
        }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SetupError {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mistake::LayerMissing { handler } => write!(
                f,
                "`{handler}` has #[rate_limit], but the app has no limiter, so it answers 500. Add to the router, after \
                 its routes: .layer(rateguard::RateLimitLayer::new(limiter))"
            ),
            Mistake::PeerUnknown { asked: false } => f.write_str(
                "a limit by IP address needs the other end of the connection, and the app does not provide it, so it \
                 answers 500. Serve TCP with: axum::serve(listener, \
                 app.into_make_service_with_connect_info::<std::net::SocketAddr>()); a Unix socket with: \
                 axum::serve(listener, app.into_make_service_with_connect_info::<rateguard::Peer>()), and \
                 .trusted_proxies([\"unix\"]) on the limiter's builder if a proxy connects to it. If the app has a connect \
                 info of another type, read it on the limiter's builder: .peer(|extensions| \
                 Some(extensions.get::<axum::extract::ConnectInfo<MyType>>()?.0.address)). In a test without a connection: \
                 .layer(axum::extract::connect_info::MockConnectInfo(std::net::SocketAddr::from(([127, 0, 0, 1], 1))))",
            ),
            Mistake::PeerUnknown { asked: true } => f.write_str(
                "a limit by IP address needs the other end of the connection; the closure that RateGuardBuilder::peer was \
                 given returned None, and the request has no ConnectInfo<std::net::SocketAddr> either, so it answers 500. \
                 Let the closure read the type that into_make_service_with_connect_info is given",
            ),
            Mistake::PeerOfCallUnknown => {
                f.write_str(
                    "a limit by IP address needs the other end of the connection, and the server does not provide it, \
                     so gRPC calls are answered with INTERNAL. ",
                )?;
                if !cfg!(feature = "tonic") {
                    f.write_str("With tonic's server, turn on the feature \"tonic\" of rateguard in Cargo.toml. ")?;
                }
                f.write_str(
                    "With Routes::into_axum_router: axum::serve(listener, \
                     app.into_make_service_with_connect_info::<std::net::SocketAddr>()). If the server has a connect \
                     info of another type, such as TLS of your own, read it on the limiter's builder: \
                     .peer(|extensions| extensions.get::<TlsConnectInfo<TcpConnectInfo>>()?.get_ref().remote_addr())",
                )
            }
            Mistake::AuthenticationTooLate => f.write_str(
                "a RateLimitLayer that counts by user ran before the layer that sets rateguard::UserId, so it counted by \
                 address instead. Layers added later run earlier: add the authentication layer after the RateLimitLayer",
            ),
            Mistake::ParameterNotCaptured { limited_by, parameter } => write!(
                f,
                "`{limited_by}` is limited by \"path:{parameter}\", but its route captures no `{parameter}`, so it answers \
                 500. Add {{{parameter}}} to the route's path, or correct the key"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_a_call_lacks_is_told_with_the_lines_for_grpc() {
        let said = SetupError::peer_unknown(false, true).to_string();
        assert_eq!(said.contains("turn on the feature \"tonic\""), !cfg!(feature = "tonic"), "{said}");
        assert!(said.contains("Routes::into_axum_router") && said.contains(".peer(|extensions|"), "{said}");
        for other in [SetupError::peer_unknown(false, false), SetupError::peer_unknown(true, true)] {
            assert!(!other.to_string().contains("gRPC"), "{other}");
        }
    }
}
