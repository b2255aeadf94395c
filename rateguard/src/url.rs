//! Where the counts are kept, from a URL or the environment. A password never gets into an error.

use crate::error::ConfigError;

/// What a URL stands for.
pub(crate) enum Target {
    Memory,
    #[cfg(feature = "redis")]
    Redis(Box<redis::ConnectionInfo>),
}

const FORMS: &str = "use redis://[[user]:password@]host[:port][/database], or memory: to count in this process";

impl Target {
    /// `REDIS_URL`, or memory.
    pub(crate) fn from_env() -> Result<Target, ConfigError> {
        match std::env::var("REDIS_URL") {
            Ok(url) if url.is_empty() => {
                Err(ConfigError::new("REDIS_URL", "", format!("it is set but empty: {FORMS}, or unset it")))
            }
            Ok(url) => Target::parse("REDIS_URL", &url),
            Err(std::env::VarError::NotPresent) => Target::without_redis_url(),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(ConfigError::unshown("REDIS_URL", format!("it is not valid UTF-8: {FORMS}")))
            }
        }
    }

    fn without_redis_url() -> Result<Target, ConfigError> {
        let upstash = "UPSTASH_REDIS_REST_URL";
        if std::env::var_os(upstash).is_some() {
            // Counting in this process instead would quietly multiply every limit by the number of servers.
            let problem = "it is set, but this version does not speak Upstash's REST protocol: set REDIS_URL to the \
                           database's redis:// address, or unset it to count in this process";
            return Err(ConfigError::unshown(upstash, problem));
        }
        Ok(Target::Memory)
    }

    /// Reads a URL; `setting` is what the error calls it.
    pub(crate) fn parse(setting: &str, text: &str) -> Result<Target, ConfigError> {
        let wrong = |problem: String| ConfigError::new(setting, redacted(text), problem);
        if text == "memory:" || text == "memory://" {
            return Ok(Target::Memory);
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Err(wrong(format!("it is no URL: {FORMS}")));
        };
        match scheme {
            "redis" => Target::redis(text).map_err(wrong),
            "rediss" | "redis+cluster" | "redis+sentinel" => {
                Err(wrong(format!("this version does not support {scheme}://: {FORMS}")))
            }
            _ => Err(wrong(format!("the scheme is unknown: {FORMS}"))),
        }
    }

    #[cfg(not(feature = "redis"))]
    fn redis(_: &str) -> Result<Target, String> {
        Err("this build has no Redis support: enable the feature \"redis\" of rateguard".to_owned())
    }

    #[cfg(feature = "redis")]
    fn redis(text: &str) -> Result<Target, String> {
        use redis::{IntoConnectionInfo, ProtocolVersion};

        let url = url::Url::parse(text).map_err(|error| format!("it is no URL ({error}): {FORMS}"))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(format!("it names no host: {FORMS}"));
        }
        let database = url.path().trim_start_matches('/');
        if !database.is_empty() && database.parse::<u32>().is_err() {
            return Err(format!("the database after the last / is no number: {FORMS}"));
        }
        // The newer protocol where the server has it, unless the older one is asked for.
        let older = url.query_pairs().any(|(_, value)| value == "resp2");
        if let Some((name, _)) = url.query_pairs().find(|(name, _)| name != "protocol") {
            return Err(format!("the parameter {name:?} is unknown (only `protocol=resp2` is): {FORMS}"));
        }
        if url.fragment().is_some() {
            return Err(format!("a # in a password is written %23: {FORMS}"));
        }
        // The library's own message could repeat the URL.
        let info = url.into_connection_info().map_err(|_| format!("it is no Redis URL: {FORMS}"))?;
        let protocol = if older { ProtocolVersion::RESP2 } else { ProtocolVersion::RESP3 };
        let settings = info.redis_settings().clone().set_protocol(protocol);
        Ok(Target::Redis(Box::new(info.set_redis_settings(settings))))
    }
}

/// A URL without what could be secret: everything before the last `@`, and any query.
fn redacted(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let shown = match rest.rsplit_once('@') {
        Some((_, host)) => format!("***@{}", host.split(['?', '#']).next().unwrap_or_default()),
        // Without an `@`, a `#` or `?` may be in the middle of a password.
        None if rest.contains(['?', '#']) => "***".to_owned(),
        None => rest.to_owned(),
    };
    if scheme.is_empty() { shown } else { format!("{scheme}://{shown}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str) -> String {
        match Target::parse("REDIS_URL", url) {
            Ok(_) => panic!("{url} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_forms_of_the_documentation_are_taken() {
        for url in [
            "redis://localhost",
            "redis://127.0.0.1:6379/3",
            "redis://:pass%23word@cache.internal:6380",
            "redis://user:pass@[::1]:6379/0?protocol=resp3",
            "memory:",
        ] {
            assert!(Target::parse("url", url).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_bad_url_is_an_error_that_names_the_setting_the_value_and_the_forms() {
        for url in [
            "",
            "localhost",
            "localhost:6379",
            "http://localhost",
            "redis://",
            "redis://host:notaport",
            "redis://host/db",
            "redis://host:99999",
            "redis://host?passwrd=1",
            "redis://host#x",
            "postgres://a:b@c/d",
            "memory",
        ] {
            let error = error(url);
            assert!(error.contains("REDIS_URL") && error.contains("redis://["), "{error}");
        }
        assert!(error("ftp://host").contains("ftp://host"));
    }

    #[test]
    fn no_error_shows_a_password() {
        for url in [
            "redis://user:hunter2@host:port",
            "redis://:hunter2@",
            "rediss://:hunter2@host",
            "redis://:hunter2#@host",
            "redis://:hun@hunter2@host/x",
            "user:hunter2@host",
            "redis://hunter2#x",
            "redis://host/x?password=hunter2",
            "http://a:hunter2@host",
        ] {
            let error = error(url);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
