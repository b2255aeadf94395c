//! Where the service is, and the token for it.

use std::fmt;
use std::sync::Arc;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_rustls::ConfigBuilderExt;
use rustls::{ClientConfig, RootCertStore};

use crate::error::ConfigError;

/// The address, the credentials, and the certificates to trust.
pub(crate) struct Endpoint {
    pub(super) uri: Uri,
    /// The path to post to.
    pub(super) path: Uri,
    pub(super) host: HeaderValue,
    pub(super) authorization: HeaderValue,
    pub(super) tls: ClientConfig,
    token: String,
}

const FORMS: &str = "use the REST URL and the token that Upstash's console shows, \
                     such as https://eu1-merry-cat-12345.upstash.io";

impl Endpoint {
    /// Reads a URL and a token. Each comes with the name that errors call it. Errors show neither of them, because the two are
    /// easily confused.
    pub(crate) fn parse(
        (url_setting, url): (&str, &str),
        (token_setting, token): (&str, &str),
    ) -> Result<Endpoint, ConfigError> {
        let wrong = |problem: &str| ConfigError::unshown(url_setting, format!("{problem}: {FORMS}"));
        if url.is_empty() {
            return Err(wrong("it is empty"));
        }
        let parsed = url::Url::parse(url).map_err(|_| wrong("it is not a URL"))?;
        let secure = match parsed.scheme() {
            "https" => true,
            "http" => false,
            "redis" | "rediss" => return Err(wrong("it is an address for Redis' own protocol (REDIS_URL)")),
            _ => return Err(wrong("it does not begin with https:// or http://")),
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(wrong("it contains a user or a password; the token is a setting of its own"));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(wrong("it contains a ? or a #"));
        }
        let host = parsed.host_str().unwrap_or_default();
        let host = parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let unusable = |_| wrong("it cannot be used in a request");
        let uri = Uri::try_from(format!("{}://{host}/", parsed.scheme())).map_err(unusable)?;
        let path = Uri::try_from(parsed.path()).map_err(unusable)?;
        let host = HeaderValue::try_from(host).map_err(|_| wrong("its host cannot be used in a header"))?;
        Ok(Endpoint {
            uri,
            path,
            host,
            authorization: authorization(token_setting, token)?,
            tls: tls(secure).map_err(|problem| ConfigError::unshown(url_setting, problem))?,
            token: token.to_owned(),
        })
    }

    /// A text of the service, shortened, and without the token.
    pub(super) fn quote(&self, text: &str) -> String {
        const LONGEST: usize = 300;
        let text = text.replace(&self.token, "***");
        match text.char_indices().nth(LONGEST) {
            Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
            None => text,
        }
    }
}

fn authorization(setting: &str, token: &str) -> Result<HeaderValue, ConfigError> {
    if token.is_empty() {
        return Err(ConfigError::unshown(setting, format!("it is empty: {FORMS}")));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConfigError::unshown(
            setting,
            "it contains a space, a line break or another character that tokens do not have",
        ));
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| ConfigError::unshown(setting, "it cannot be used in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Trusts the system's certificates, which are only read if they are needed.
fn tls(secure: bool) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be used: {error}"))?;
    let builder = if secure {
        builder.with_native_roots().map_err(|error| format!("the system's certificates cannot be read ({error})"))?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

/// Shows the address only.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, token: &str) -> Result<Endpoint, String> {
        Endpoint::parse(("URL", url), ("TOKEN", token)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_is_an_address_and_a_path() {
        let endpoint = parse("http://127.0.0.1:8080/redis", "secret").unwrap();
        assert_eq!(
            (endpoint.uri.to_string(), endpoint.path.path(), endpoint.host.to_str().unwrap()),
            ("http://127.0.0.1:8080/".to_owned(), "/redis", "127.0.0.1:8080")
        );
        assert_eq!(parse("https://x.upstash.io", "t").unwrap().host, "x.upstash.io");
        assert_eq!(parse("http://[::1]:1", "t").unwrap().host, "[::1]:1");
    }

    #[test]
    fn an_error_says_what_to_write_and_shows_no_secret() {
        for url in [
            "",
            "hunter2",
            "hunter2.upstash.io",
            "rediss://default:hunter2@x.upstash.io:6379",
            "https://user:hunter2@x.upstash.io",
            "https://x.upstash.io?_token=hunter2",
            "ftp://hunter2",
        ] {
            let error = parse(url, "t").unwrap_err();
            assert!(error.contains("URL") && error.contains("console") && !error.contains("hunter2"), "{error}");
        }
        for token in ["", "hunter2\n", "hunter2 x", "hunter2é"] {
            let error = parse("https://x.upstash.io", token).unwrap_err();
            assert!(error.contains("TOKEN") && !error.contains("hunter2"), "{error}");
        }
        let endpoint = parse("http://127.0.0.1", "hunter2").unwrap();
        assert!(!format!("{endpoint:?} {:?}", endpoint.authorization).contains("hunter2"));
        assert_eq!(endpoint.quote("bad token hunter2"), "bad token ***");
        assert!(endpoint.quote(&"é".repeat(1000)).len() < 700);
    }
}
