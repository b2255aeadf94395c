//! What a limiter is told about HTTP.

use super::client_ip::Resolver;
use super::headers::Headers;
use super::rejection::OnDenied;

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) client_ip: Resolver,
    pub(crate) headers: Headers,
    /// Answers denied requests, if the program does.
    pub(crate) on_denied: Option<OnDenied>,
}
