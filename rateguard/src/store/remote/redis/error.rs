//! What an error of the server, or of the connection, means.

use std::error::Error;
use std::sync::Arc;

use redis::RedisError;

use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::script::error_text::{self, named};

/// An error of a whole call.
pub(super) fn failed(error: RedisError) -> StoreError {
    let text = error.to_string();
    let kind = match server_text(&error) {
        _ if error.kind() == redis::ErrorKind::AuthenticationFailed => StoreErrorKind::Authentication,
        _ if error.is_timeout() => StoreErrorKind::TimedOut,
        Some(said) => return named(&said),
        None if error.kind() == redis::ErrorKind::Parse => StoreErrorKind::Protocol,
        None if error.is_io_error() || error.is_unrecoverable_error() => {
            return StoreError::unreachable(text).caused_by(cause(error));
        }
        None => return named(&text),
    };
    StoreError::new(kind, text)
}

/// The error of the socket or of TLS, which `redis` hands out only behind a pointer of its own.
fn cause(error: RedisError) -> Arc<dyn Error + Send + Sync> {
    let inner = error.source().and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>()).cloned();
    inner.unwrap_or_else(|| Arc::new(error))
}

/// Whether the connection cannot be used any more, or a new one may lead to a better server.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(code(error).as_deref(), Some("READONLY" | "MASTERDOWN" | "NOAUTH" | "WRONGPASS"))
}

/// The first word of the server's error, also if the error happened inside a script.
fn code(error: &RedisError) -> Option<String> {
    server_text(error).map(|text| error_text::code(&text).to_owned())
}

/// The error as the server wrote it; `None` if it does not come from a server.
fn server_text(error: &RedisError) -> Option<String> {
    let code = error.code()?;
    Some(error.detail().map_or_else(|| code.to_owned(), |detail| format!("{code} {detail}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::Value;

    fn answered(text: &str) -> RedisError {
        let answer = redis::parse_redis_value(format!("-{text}\r\n").as_bytes());
        answer.and_then(Value::extract_error).unwrap_err()
    }

    #[test]
    fn an_error_of_a_whole_call_is_named_by_the_servers_error_also_if_that_ended_the_script() {
        let ended = "ERR Error running script (call to f_f7): @user_script:1: @user_script: 1: ";
        for (text, word, kind) in [
            ("READONLY You can't write", "READONLY", StoreErrorKind::ReadOnly),
            (&format!("{ended}-READONLY You can't write"), "READONLY", StoreErrorKind::ReadOnly),
            ("@user_script: 1: -MASTERDOWN Link", "MASTERDOWN", StoreErrorKind::Busy),
            (&format!("{ended}-OOM command not allowed"), "OOM", StoreErrorKind::OutOfMemory),
            (&format!("{ended}The user executing the script can't run this command"), "The", StoreErrorKind::Forbidden),
            ("MISCONF Valkey is configured", "MISCONF", StoreErrorKind::WritesDisabled),
            ("NOAUTH Authentication required.", "NOAUTH", StoreErrorKind::Authentication),
            ("ERR max number of clients reached", "ERR", StoreErrorKind::TooManyClients),
            ("NOSCRIPT No matching script.", "NOSCRIPT", StoreErrorKind::Other),
        ] {
            assert_eq!(code(&answered(text)).as_deref(), Some(word), "{text}");
            assert_eq!(failed(answered(text)).kind(), kind, "{text}");
        }
    }
}
