//! What the builder is told about clients' addresses, and whether that makes sense.

use axum::http::HeaderName;

use super::proxies::TrustedProxies;
use super::{ClientIp, PeerFn, Source, X_FORWARDED_FOR};
use crate::error::ConfigError;

/// As it was said; checked when the limiter is built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    proxies: Vec<String>,
    header: Option<String>,
    another_header: Option<String>,
    forwarded: bool,
    peer: Option<PeerFn>,
}

impl Options {
    pub(crate) fn trusted_proxies(mut self, networks: impl IntoIterator<Item = impl AsRef<str>>) -> Options {
        self.proxies.extend(networks.into_iter().map(|network| network.as_ref().to_owned()));
        self
    }

    pub(crate) fn header(mut self, name: &str) -> Options {
        match &self.header {
            Some(header) if !header.eq_ignore_ascii_case(name) => self.another_header = Some(name.to_owned()),
            _ => self.header = Some(name.to_owned()),
        }
        self
    }

    pub(crate) fn forwarded(mut self) -> Options {
        self.forwarded = true;
        self
    }

    pub(crate) fn peer(mut self, find: PeerFn) -> Options {
        self.peer = Some(find);
        self
    }

    pub(crate) fn build(self) -> Result<ClientIp, ConfigError> {
        let proxies = TrustedProxies::parse(&self.proxies)?;
        let source = self.source(&proxies)?;
        Ok(ClientIp { source, proxies, peer: self.peer, ..ClientIp::default() })
    }

    fn source(&self, proxies: &TrustedProxies) -> Result<Source, ConfigError> {
        const HEADER: &str = "client_ip_header";
        const FORWARDED: &str = "forwarded_header";
        const UNHEARD: &str = "it would never be read without trusted_proxies, since anybody can send it: add \
                               .trusted_proxies([…]) with the networks that your proxies are in";
        if let (Some(header), Some(another)) = (&self.header, &self.another_header) {
            let problem =
                format!("{header:?} is chosen already, and only one header can be believed: keep one of them");
            return Err(ConfigError::new(HEADER, another, problem));
        }
        match &self.header {
            Some(header) if self.forwarded => {
                let problem =
                    "forwarded_header is chosen as well, and only one header can be believed: keep one of them";
                Err(ConfigError::new(HEADER, header, problem))
            }
            Some(header) => {
                let problem = |problem: &str| ConfigError::new(HEADER, header, problem);
                let name = HeaderName::try_from(header.as_str())
                    .map_err(|_| problem("use the name of a header, such as \"cf-connecting-ip\""))?;
                if name == X_FORWARDED_FOR {
                    Err(problem(
                        "this is a list, and is read as one if trusted_proxies is set and no other header chosen",
                    ))
                } else if name == axum::http::header::FORWARDED {
                    Err(problem("this is a list; choose it with .forwarded_header()"))
                } else if proxies.is_empty() {
                    Err(problem(UNHEARD))
                } else {
                    Ok(Source::Header(name))
                }
            }
            None if self.forwarded && proxies.is_empty() => Err(ConfigError::unshown(FORWARDED, UNHEARD)),
            None if self.forwarded => Ok(Source::Forwarded),
            None if proxies.is_empty() => Ok(Source::Peer),
            None => Ok(Source::XForwardedFor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::default().trusted_proxies(["loopback"])
    }

    #[test]
    fn one_source_is_chosen() {
        let source = |options: Options| options.build().unwrap().source;
        assert_eq!(source(Options::default()), Source::Peer);
        assert_eq!(source(Options::default().trusted_proxies([""; 0])), Source::Peer);
        assert_eq!(source(options()), Source::XForwardedFor);
        assert_eq!(source(options().forwarded()), Source::Forwarded);
        let header = Source::Header(HeaderName::from_static("cf-connecting-ip"));
        assert_eq!(source(options().header("CF-Connecting-IP").header("cf-connecting-ip")), header);
    }

    #[test]
    fn lists_of_proxies_add_up() {
        let proxies = options().trusted_proxies(["192.0.2.1"]).build().unwrap().proxies;
        assert!(proxies.trust([127, 0, 0, 1].into()) && proxies.trust([192, 0, 2, 1].into()));
    }

    #[test]
    fn what_could_not_work_is_an_error_that_says_so() {
        for (options, setting, hint) in [
            (options().header("a").header("b"), "client_ip_header", "\"b\": \"a\" is chosen already"),
            (options().header("a").forwarded(), "client_ip_header", "forwarded_header is chosen as well"),
            (options().header("x forwarded"), "client_ip_header", "\"x forwarded\": use the name of a header"),
            (options().header(""), "client_ip_header", "use the name of a header"),
            (options().header("X-Forwarded-For"), "client_ip_header", "read as one if trusted_proxies is set"),
            (options().header("forwarded"), "client_ip_header", ".forwarded_header()"),
            (Options::default().header("x-real-ip"), "client_ip_header", "add .trusted_proxies([…])"),
            (Options::default().forwarded(), "forwarded_header", "add .trusted_proxies([…])"),
            (options().trusted_proxies(["proxy"]), "trusted_proxies", "\"proxy\""),
        ] {
            let error = options.build().unwrap_err();
            assert_eq!(error.setting(), setting);
            assert!(error.to_string().contains(hint), "{error}");
        }
    }
}
