//! What a limiter is told about HTTP.

use super::client_ip::Resolver;
use super::exempt::Exempt;
use super::headers::Headers;
use super::rejection::OnDenied;

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) client_ip: Resolver,
    pub(crate) headers: Headers,
    /// Clients that no limit counts.
    pub(crate) exempt: Exempt,
    /// Answers denied requests, if the program does.
    pub(crate) on_denied: Option<OnDenied>,
}
