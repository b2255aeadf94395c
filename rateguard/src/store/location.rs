//! The store that a URL or the environment names. Errors never contain a password.

use super::remote::Endpoint;
use crate::error::ConfigError;

/// A store that a URL or the environment names.
pub(crate) enum Location {
    Memory,
    Remote(Endpoint),
}

/// The environment variables of Upstash: the URL and the token.
const UPSTASH: [&str; 2] = ["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"];

const FORMS: &str = "use redis://[[user]:password@]host[:port][/database] (rediss:// with TLS), \
                     redis+sentinel://host1,host2,host3/name, redis+cluster://host1,host2,host3, redis+unix:///path, or memory: to count in this process";

impl Location {
    /// `REDIS_URL`; without it, Upstash's two variables; without those, memory.
    pub(crate) fn from_env() -> Result<Location, ConfigError> {
        match std::env::var("REDIS_URL") {
            Ok(url) if url.is_empty() => {
                Err(ConfigError::new("REDIS_URL", "", format!("it is set but empty: {FORMS}, or unset it")))
            }
            Ok(url) => Location::parse("REDIS_URL", &url),
            Err(std::env::VarError::NotPresent) => Location::without_redis_url(),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(ConfigError::unshown("REDIS_URL", format!("it is not valid UTF-8: {FORMS}")))
            }
        }
    }

    /// One variable without the other is an error: counting in this process instead would silently multiply every limit by
    /// the number of servers.
    fn without_redis_url() -> Result<Location, ConfigError> {
        let read = |name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(ConfigError::unshown(name, "it is not valid UTF-8")),
        };
        let [url, token] = UPSTASH;
        let lacking = |name, other| {
            ConfigError::unshown(name, format!("it is not set, but {other} is: set both, or neither of them"))
        };
        match (read(url)?, read(token)?) {
            (None, None) => Ok(Location::Memory),
            (None, Some(_)) => Err(lacking(url, token)),
            (Some(_), None) => Err(lacking(token, url)),
            (Some(address), Some(secret)) => Location::upstash((url, &address), (token, &secret)),
        }
    }

    /// Upstash's database at a URL. Each setting comes with the name that errors call it.
    pub(crate) fn upstash(url: (&str, &str), token: (&str, &str)) -> Result<Location, ConfigError> {
        Endpoint::upstash(url, token).map(Location::Remote)
    }

    /// Reads a URL. Errors call it `setting`.
    pub(crate) fn parse(setting: &str, text: &str) -> Result<Location, ConfigError> {
        let wrong = |problem: String| ConfigError::new(setting, redacted(text), problem);
        if text == "memory:" || text == "memory://" {
            return Ok(Location::Memory);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong(format!("it is not a URL: {FORMS}")));
        };
        match scheme {
            "redis" | "rediss" | "redis+unix" | "unix" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster"
            | "rediss+cluster" => {
                let endpoint = Endpoint::redis(scheme, rest).map_err(|problem| wrong(format!("{problem}: {FORMS}")))?;
                Ok(Location::Remote(endpoint))
            }
            _ => Err(wrong(format!("the scheme is unknown: {FORMS}"))),
        }
    }
}

/// A URL without what may be secret: everything before the last `@`, and the query. Nothing of it is shown if there is a `?` or
/// `#` before that `@`: it may be in the middle of a password, or the `@` in the middle of a parameter.
fn redacted(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let shown = match rest.rsplit_once('@') {
        Some((before, _)) if before.contains(['?', '#']) => "***".to_owned(),
        Some((_, host)) => format!("***@{}", host.split(['?', '#']).next().unwrap_or_default()),
        // Without an `@`, the `#` or `?` may be in the middle of a password.
        None if rest.contains(['?', '#']) => "***".to_owned(),
        None => rest.to_owned(),
    };
    if scheme.is_empty() { shown } else { format!("{scheme}://{shown}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str) -> String {
        match Location::parse("REDIS_URL", url) {
            Ok(_) => panic!("{url} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_documented_forms_are_accepted() {
        for url in [
            "redis://localhost",
            "redis://127.0.0.1:6379/3",
            "redis://:pass%23word@cache.internal:6380",
            "redis://user:pass@[::1]:6379/0?protocol=resp3",
            "redis://localhost?protocol=resp2",
            "redis+unix:///run/redis/redis.sock",
            "unix://user:pass@/run/redis.sock?db=3",
            "redis+sentinel://one,two:26380,[::1]/mymaster",
            "redis+sentinel://user:p%40ss@one/mymaster/3?sentinel_username=u&sentinel_password=p%26",
            "memory:",
        ] {
            assert!(Location::parse("url", url).is_ok(), "{url}");
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
            "redis+sentinel://one,two",
            "redis+sentinel://one,,two/mymaster",
            "redis+sentinel://one/mymaster/x",
            "redis+sentinel://one/mymaster?x=1",
            "redis+unix://run/redis.sock",
            "unix://",
            "unix:///run/redis.sock?db=x",
            "redis+cluster://",
            "redis+cluster://one,,two",
            "redis+cluster://one,two/3",
            "redis+cluster://one,two/name",
            "redis+cluster://one?x=1",
            "redis+cluster://one#x",
            "memory",
        ] {
            let error = error(url);
            assert!(error.contains("REDIS_URL") && error.contains("redis://["), "{error}");
        }
        assert!(error("ftp://host").contains("ftp://host"));
    }

    // Without TLS there is another error.
    #[cfg(feature = "tls")]
    #[test]
    fn a_password_without_its_colon_is_an_error_that_shows_where_the_colon_goes() {
        for url in [
            "redis://hunter2@host",
            "rediss://hunter2@host:6380/1",
            "redis://hunter2:@host",
            "redis+unix://hunter2@/run/redis.sock",
            "redis+sentinel://hunter2@one,two/mymaster",
            "redis+cluster://hunter2@one,two",
        ] {
            let error = error(url);
            assert!(error.contains("redis://:password@host"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = error("redis+sentinel://one/mymaster?sentinel_username=u");
        assert!(error.contains("without a sentinel_password"), "{error}");
    }

    #[test]
    fn a_slash_in_a_password_is_an_error_that_says_how_to_write_it() {
        for url in ["redis://:hun/hunter2@host", "redis://hunter2/x@/../"] {
            let error = error(url);
            assert!(error.contains("%2F") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_password_in_the_path_of_a_socket_is_an_error() {
        for url in ["redis+unix:///:hunter2@/run/redis.sock", "unix:///user:hunter2@"] {
            let error = error(url);
            assert!(error.contains("redis+unix://:password@/path") && !error.contains("hunter2"), "{error}");
        }
        assert!(Location::parse("url", "redis+unix:///run/redis@1/redis.sock").is_ok());
    }

    // Without TLS there is another error.
    #[cfg(feature = "tls")]
    #[test]
    fn several_hosts_are_an_error_that_says_how_to_write_sentinels_and_clusters() {
        for url in ["redis://one,two", "redis://one:6379,two:6379/0", "rediss://:hunter2@one,two"] {
            let error = error(url);
            assert!(error.contains("redis+sentinel://host1,host2/name"), "{error}");
            assert!(error.contains("redis+cluster://host1,host2"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(Location::parse("url", "redis://:pass,word@host").is_ok());
    }

    #[test]
    fn no_error_shows_a_password() {
        for url in [
            "redis://hunter2@host",
            "redis://:hunter2,@one,two",
            "redis://user:hunter2@host:port",
            "redis://:hunter2@",
            "rediss://:hunter2@host:port",
            "redis://user:12?hunter2@host",
            "redis+sentinel://user:12?hunter2@host/mymaster",
            "redis+sentinel://one/mymaster?hunter2@host",
            "redis://:hunter2#@host",
            "redis://:hun@hunter2@host/x",
            "user:hunter2@host",
            "redis://hunter2#x",
            "redis://host/x?password=hunter2",
            "http://a:hunter2@host",
            "redis+sentinel://one?sentinel_password=hunter2",
            "redis+sentinel://:hunter2@one",
            "redis+sentinel://one/mymaster/x?sentinel_password=hunter2",
            "redis+cluster://user:12?hunter2@host,other",
            "redis+cluster://:hunter2@one,two/3",
            "redis+cluster://:hunter2@one,,two",
            "redis+cluster://:hunter2#@one",
            "redis+cluster://one:hunter2@",
            "redis+cluster://one?password=hunter2",
            "redis+sentinel://one/mymaster?sentinel_password=p@hunter2&x=1",
            "redis://:12?hunter2=3@host",
            "redis://:12?hunter2#3@host",
            "unix://:hunter2@",
            "unix:///x?pass=hunter2",
        ] {
            let error = error(url);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
