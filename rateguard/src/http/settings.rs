//! The HTTP settings of a limiter.

use super::client_ip::Resolver;
use super::exempt::Exempt;
use super::headers::Headers;
use super::registry::Registry;
use super::rejection::OnDenied;
use super::setup_error::OnSetupError;

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) client_ip: Resolver,
    pub(crate) headers: Headers,
    /// Clients that no limit counts.
    pub(crate) exempt: Exempt,
    pub(crate) registry: Registry,
    /// Answers denied requests, if the program does.
    pub(crate) on_denied: Option<OnDenied>,
    /// Answers requests to a program that is not set up for its limits, if the program does.
    pub(crate) on_setup_error: Option<OnSetupError>,
}
