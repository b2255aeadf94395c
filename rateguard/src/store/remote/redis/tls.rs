//! Certificates for connections over TLS.

use redis::{ClientTlsConfig, TlsCertificates};

use super::endpoint::Endpoint;
use crate::error::ConfigError;

/// The certificates that the builder was given.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    pub(crate) authority: Option<Vec<u8>>,
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Certificates {
    /// An error if there are certificates, for a store that does not use them.
    #[cfg(feature = "upstash")]
    pub(crate) fn are_unused(&self) -> Result<(), ConfigError> {
        match self.setting() {
            None => Ok(()),
            Some(setting) => Err(ConfigError::unshown(setting, "it is only for rediss://, so it would not be used")),
        }
    }

    fn setting(&self) -> Option<&'static str> {
        match (&self.authority, &self.client) {
            (None, None) => None,
            (Some(_), None) => Some("tls_ca"),
            (None, Some(_)) => Some("tls_client_certificate"),
            (Some(_), Some(_)) => Some("tls_ca and tls_client_certificate"),
        }
    }

    pub(crate) fn apply(&self, endpoint: &mut Endpoint) -> Result<(), ConfigError> {
        let Some(setting) = self.setting() else { return Ok(()) };
        if !endpoint.is_tls() {
            return Err(ConfigError::unshown(setting, "the URL is not rediss://, so it would not be used"));
        }
        let wrong = || ConfigError::unshown(setting, "it is not a certificate or key in PEM (-----BEGIN …)");
        // Without a certificate in it, the library would trust no server, and every connection would fail.
        let is_pem = |pem: &Vec<u8>| pem.windows(11).any(|bytes| bytes == b"-----BEGIN ");
        if !self.authority.iter().all(is_pem) {
            return Err(wrong());
        }
        let client_tls =
            self.client.clone().map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        let certificates = TlsCertificates { client_tls, root_cert: self.authority.clone() };
        endpoint.set_certificates(&certificates).map_err(|_| wrong())
    }
}
