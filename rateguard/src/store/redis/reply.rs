//! From what the server said to verdicts and errors.

use redis::{RedisError, Value};

use crate::error::{StoreError, StoreErrorKind};
use crate::store::script::Call;
use crate::store::script::call::Answered;
use crate::store::script::reply::{Part, kind_of, malformed, named};

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
    let kind = match (error.code().and_then(kind_of), error.code()) {
        _ if error.kind() == redis::ErrorKind::AuthenticationFailed => StoreErrorKind::Authentication,
        _ if error.is_timeout() => StoreErrorKind::TimedOut,
        (Some(kind), _) => kind,
        _ if text.contains("max number of clients") => StoreErrorKind::TooManyClients,
        (_, Some(_)) if error.kind() != redis::ErrorKind::Server(redis::ServerErrorKind::ResponseError) => {
            StoreErrorKind::Other
        }
        _ if error.kind() == redis::ErrorKind::Parse => StoreErrorKind::Protocol,
        (_, None) if error.is_io_error() || error.is_unrecoverable_error() => return StoreError::unreachable(text),
        _ => return named(&text),
    };
    StoreError::new(kind, text)
}
