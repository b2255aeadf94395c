//! From what the server said to verdicts and errors.

use redis::{RedisError, Value};

use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::script::Call;
use crate::store::remote::script::call::Answered;
use crate::store::remote::script::decode::{Part, malformed};
use crate::store::remote::script::error_text::{self, named};

/// The answers to each group, or an error if the reply is not what the script sends.
pub(super) fn groups(reply: Value, call: &Call<'_>) -> Result<Vec<Answered>, StoreError> {
    let Value::Array(values) = reply else { return Err(malformed()) };
    let part = |value| match value {
        Value::Int(number) => Part::Number(number),
        Value::BulkString(text) => Part::Text(String::from_utf8_lossy(&text).into_owned()),
        Value::SimpleString(text) => Part::Text(text),
        _ => Part::Other,
    };
    call.read(values.into_iter().map(part))
}

/// An error of the whole call.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn failed(error: RedisError) -> StoreError {
    let text = error.to_string();
    let kind = match said(&error) {
        _ if error.kind() == redis::ErrorKind::AuthenticationFailed => StoreErrorKind::Authentication,
        _ if error.is_timeout() => StoreErrorKind::TimedOut,
        Some(said) => return named(&said),
        None if error.kind() == redis::ErrorKind::Parse => StoreErrorKind::Protocol,
        None if error.is_io_error() || error.is_unrecoverable_error() => return StoreError::unreachable(text),
        None => return named(&text),
    };
    StoreError::new(kind, text)
}

/// The word that the server's error begins with, also if it happened inside a script.
pub(super) fn code(error: &RedisError) -> Option<String> {
    said(error).map(|said| error_text::code(&said).to_owned())
}

/// The error as the server wrote it, if it is one of a server.
fn said(error: &RedisError) -> Option<String> {
    let code = error.code()?;
    Some(error.detail().map_or_else(|| code.to_owned(), |detail| format!("{code} {detail}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(text: &str) -> RedisError {
        let answer = redis::parse_redis_value(format!("-{text}\r\n").as_bytes());
        answer.and_then(Value::extract_error).unwrap_err()
    }

    #[test]
    fn an_error_of_the_whole_call_is_the_servers_also_if_a_script_was_ended_by_it() {
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
