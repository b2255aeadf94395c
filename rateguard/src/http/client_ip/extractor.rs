//! The client's address, for logs and keys of a program's own.

use std::fmt;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;

use crate::http::context::Context;
use crate::http::extract::Head;
use crate::http::grpc::Call;
use crate::http::setup_error::SetupError;

/// The client's address, as the limits count it: behind [trusted proxies](crate::RateGuardBuilder::trusted_proxies) the
/// client that they name, and an IPv4 address never in the form of an IPv6 one.
///
/// An extractor, and for middleware under the layer an extension of the request. It is the whole address; limits count the
/// network of an IPv6 address. Without the layer, or without the address of the connection, the extractor answers `500` and
/// the log says which line to add.
///
/// ```
/// use rateguard::ClientIp;
///
/// async fn whoami(ClientIp(address): ClientIp) -> String {
///     format!("you come from {address}")
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientIp(pub IpAddr);

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<ClientIp, Response> {
        if let Some(address) = parts.extensions.get::<ClientIp>() {
            return Ok(*address);
        }
        let Some(context) = parts.extensions.get::<Context>() else {
            return Err(SetupError::layer_missing("ClientIp").response(None, Call::of(parts).as_ref()));
        };
        let http = context.limiter().http();
        match Head::new(parts, None, "ClientIp", http).address() {
            Ok(address) => Ok(ClientIp(address)),
            Err(error) => Err(error.response(http.on_setup_error.as_ref(), Call::of(parts).as_ref())),
        }
    }
}
