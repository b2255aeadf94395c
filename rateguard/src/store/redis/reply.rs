//! From what the server said to verdicts and errors.

use redis::{RedisError, Value};

use crate::algorithm::Verdict;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;

/// The answers to each group, or an error if the reply is not what the script sends.
pub(super) fn groups(reply: Value, expected: usize) -> Result<Vec<Result<Verdicts, StoreError>>, StoreError> {
    match reply {
        Value::Array(groups) if groups.len() == expected => Ok(groups.into_iter().map(group).collect()),
        _ => Err(malformed()),
    }
}

fn group(value: Value) -> Result<Verdicts, StoreError> {
    match value {
        Value::Array(numbers) if numbers.len().is_multiple_of(4) => numbers.chunks_exact(4).map(verdict).collect(),
        Value::BulkString(error) => Err(named(&String::from_utf8_lossy(&error))),
        Value::SimpleString(error) => Err(named(&error)),
        _ => Err(malformed()),
    }
}

fn verdict(numbers: &[Value]) -> Result<Verdict, StoreError> {
    let [Value::Int(admitted), Value::Int(remaining), Value::Int(reset), Value::Int(retry)] = numbers else {
        return Err(malformed());
    };
    Ok(Verdict {
        admitted: *admitted == 1,
        remaining: u32::try_from(*remaining).map_err(|_| malformed())?,
        reset_after: u64::try_from(*reset).map_err(|_| malformed())?,
        retry_after: u64::try_from(*retry).ok(),
    })
}

fn malformed() -> StoreError {
    StoreError::new(StoreErrorKind::Other, "the server's answer is not the script's")
}

/// An error that the script caught, by its text.
fn named(text: &str) -> StoreError {
    let kind = match text.split(' ').next() {
        Some("WRONGTYPE") => StoreErrorKind::WrongType,
        Some("OOM") => StoreErrorKind::OutOfMemory,
        Some("NOPERM") => StoreErrorKind::Forbidden,
        Some("READONLY") => StoreErrorKind::ReadOnly,
        // What an access rule says inside a script carries no code.
        _ if text.contains("can't run this command") || text.contains("can't access") => StoreErrorKind::Forbidden,
        _ => StoreErrorKind::Other,
    };
    StoreError::new(kind, text)
}

/// An error of the whole call.
pub(super) fn failed(error: &RedisError) -> StoreError {
    let kind = match error.code() {
        _ if error.kind() == redis::ErrorKind::AuthenticationFailed => StoreErrorKind::Authentication,
        _ if error.is_timeout() => StoreErrorKind::TimedOut,
        Some("NOAUTH" | "WRONGPASS") => StoreErrorKind::Authentication,
        Some("NOPERM") => StoreErrorKind::Forbidden,
        Some("OOM") => StoreErrorKind::OutOfMemory,
        Some("READONLY") => StoreErrorKind::ReadOnly,
        Some("LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN") => StoreErrorKind::Busy,
        Some(_) => StoreErrorKind::Other,
        None if error.is_io_error() || error.is_unrecoverable_error() => StoreErrorKind::Unreachable,
        None => return named(&error.to_string()),
    };
    StoreError::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_is_not_the_scripts_is_an_error_never_a_panic() {
        for reply in [Value::Nil, Value::Int(1), Value::Array(vec![]), Value::Array(vec![Value::Nil, Value::Nil])] {
            assert!(groups(reply, 1).is_err());
        }
        let odd = Value::Array(vec![Value::Array(vec![Value::Int(1)]), Value::Array(vec![Value::Int(-1); 4])]);
        assert!(groups(odd, 2).unwrap().iter().all(Result::is_err));
    }

    #[test]
    fn a_groups_error_is_its_own() {
        let good = Value::Array([1, 4, 60, -1].map(Value::Int).to_vec());
        let bad = Value::BulkString(b"WRONGTYPE Operation against a key".to_vec());
        let answers = groups(Value::Array(vec![good, bad]), 2).unwrap();
        assert_eq!(answers[0].as_ref().unwrap()[0].remaining, 4);
        assert_eq!(answers[1].as_ref().unwrap_err().kind(), StoreErrorKind::WrongType);
    }
}
