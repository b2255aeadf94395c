//! From what the server said to verdicts and errors.

use redis::{RedisError, Value};
use smallvec::SmallVec;

use super::{Group, Op, RedisCheck};
use crate::algorithm::Assessment;
use crate::algorithm::fixed_window::Counter;
use crate::algorithm::sliding_counter::Pair;
use crate::algorithm::token_bucket::Bucket;
use crate::error::{StoreError, StoreErrorKind};
use crate::quota::Algorithm;
use crate::store::Verdicts;

/// The answers to each group, or an error if the reply is not what the script sends.
pub(super) fn groups(reply: Value, asked: &[&Group]) -> Result<Vec<Result<Verdicts, StoreError>>, StoreError> {
    let Value::Array(mut reply) = reply else { return Err(malformed()) };
    let mut values = reply.drain(..);
    let Some(Value::Int(now)) = values.next() else { return Err(malformed()) };
    let now = u64::try_from(now).map_err(|_| malformed())?;
    let answers = asked.iter().map(|group| answer(now, &mut values, group)).collect::<Result<Vec<_>, _>>()?;
    // What is left over belongs to nobody, so nothing can be trusted to belong where it was put.
    if values.next().is_none() { Ok(answers) } else { Err(malformed()) }
}

/// Takes one group's part of the reply: its own error, or its verdicts.
fn answer(
    now: u64,
    values: &mut impl Iterator<Item = Value>,
    group: &Group,
) -> Result<Result<Verdicts, StoreError>, StoreError> {
    let checks = match group.op {
        Op::Check | Op::Peek => group.checks.as_slice(),
        // Said by the absence of an error alone, which the next group's numbers must not be taken for.
        Op::Refund(_) | Op::Reset => &[],
    };
    let mut numbers: SmallVec<[Value; 8]> = SmallVec::new();
    let expected = if checks.is_empty() { 1 } else { 4 * checks.len() };
    while numbers.len() < expected {
        match values.next() {
            Some(Value::BulkString(error)) if numbers.is_empty() => {
                return Ok(Err(named(&String::from_utf8_lossy(&error))));
            }
            Some(Value::SimpleString(error)) if numbers.is_empty() => return Ok(Err(named(&error))),
            Some(number @ Value::Int(_)) => numbers.push(number),
            _ => return Err(malformed()),
        }
    }
    Ok(verdicts(now, &numbers, checks, group.op))
}

fn verdicts(now: u64, numbers: &[Value], checks: &[RedisCheck], op: Op) -> Result<Verdicts, StoreError> {
    let assessed: SmallVec<[Assessment; 2]> = numbers
        .chunks_exact(4)
        .zip(checks)
        .map(|(numbers, check)| assessment(numbers, check))
        .collect::<Result<_, _>>()?;
    let charged = matches!(op, Op::Check) && assessed.iter().zip(checks).all(|(a, check)| a.admitted || check.shadow);
    let verdict = |(a, check): (Assessment, &RedisCheck)| {
        a.verdict(now, &check.quota, (charged && a.admitted).then_some(check.cost))
    };
    Ok(assessed.into_iter().zip(checks).map(verdict).collect())
}

/// What the script found before the charge. The rule is one: of what it leaves to the caller, the rules in `algorithm`
/// make the rest.
fn assessment(numbers: &[Value], check: &RedisCheck) -> Result<Assessment, StoreError> {
    let [Value::Int(admitted), Value::Int(a), Value::Int(b), Value::Int(c)] = numbers else {
        return Err(malformed());
    };
    let whole = |number: &i64| u64::try_from(*number).map_err(|_| malformed());
    let part = |number: &i64| u32::try_from(*number).map_err(|_| malformed());
    let (quota, cost) = (&check.quota, check.cost);
    let mut found = match quota.algorithm() {
        Algorithm::SlidingWindow => {
            let idle = whole(b)?;
            Assessment {
                admitted: true,
                available: part(a)?,
                reset_idle: idle,
                reset_charged: if idle == 0 { quota.window_micros() } else { idle },
                retry_after: u64::try_from(*c).ok(),
            }
        }
        // The times are told from the beginning of the window, or from now.
        Algorithm::FixedWindow => Counter { start: 0, used: whole(a)? }.assess(whole(b)?, quota, cost),
        Algorithm::SlidingCounter => {
            Pair { start: 0, previous: whole(a)?, current: whole(b)? }.assess(whole(c)?, quota, cost)
        }
        Algorithm::TokenBucket => {
            Bucket { at: whole(a)?, fraction: part(b)?, of: quota.limit() }.assess(0, quota, cost)
        }
    };
    found.admitted = *admitted == 1;
    Ok(found)
}

fn malformed() -> StoreError {
    StoreError::new(StoreErrorKind::Protocol, "the server's answer is not the script's")
}

/// An error that the script caught, by its text.
fn named(text: &str) -> StoreError {
    let kind = match text.split(' ').next() {
        Some("WRONGTYPE") => StoreErrorKind::WrongType,
        Some("OOM") => StoreErrorKind::OutOfMemory,
        Some("NOPERM") => StoreErrorKind::Forbidden,
        Some("READONLY") => StoreErrorKind::ReadOnly,
        Some("MISCONF" | "NOREPLICAS") => StoreErrorKind::WritesRefused,
        // What an access rule says inside a script carries no code.
        _ if text.contains("can't run this command") || text.contains("can't access") => StoreErrorKind::Forbidden,
        _ => StoreErrorKind::Other,
    };
    StoreError::new(kind, text)
}

/// An error of the whole call.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn failed(error: RedisError) -> StoreError {
    let text = error.to_string();
    let kind = match error.code() {
        _ if error.kind() == redis::ErrorKind::AuthenticationFailed => StoreErrorKind::Authentication,
        _ if error.is_timeout() => StoreErrorKind::TimedOut,
        Some("NOAUTH" | "WRONGPASS") => StoreErrorKind::Authentication,
        Some("NOPERM") => StoreErrorKind::Forbidden,
        Some("OOM") => StoreErrorKind::OutOfMemory,
        Some("READONLY") => StoreErrorKind::ReadOnly,
        Some("LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN") => StoreErrorKind::Busy,
        Some("MISCONF" | "NOREPLICAS") => StoreErrorKind::WritesRefused,
        _ if text.contains("max number of clients") => StoreErrorKind::TooManyClients,
        Some(_) if error.kind() != redis::ErrorKind::Server(redis::ServerErrorKind::ResponseError) => {
            StoreErrorKind::Other
        }
        _ if error.kind() == redis::ErrorKind::Parse => StoreErrorKind::Protocol,
        // What rustls says, which comes as an error of the connection.
        None if text.contains("invalid peer certificate") || text.contains("received fatal alert") => {
            StoreErrorKind::Tls
        }
        None if error.is_io_error() || error.is_unrecoverable_error() => StoreErrorKind::Unreachable,
        _ => return named(&text),
    };
    StoreError::new(kind, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Quota;
    use std::time::Duration;

    fn asks(algorithm: Algorithm) -> Group {
        let quota = Quota::try_new(algorithm, 5, Duration::from_secs(60)).unwrap();
        let check = RedisCheck { key: String::new(), quota, form: "z", cost: 1, shadow: false };
        Group::new(Op::Check, [check].into_iter().collect())
    }

    fn reply(parts: &[&[i64]]) -> Value {
        Value::Array(parts.concat().into_iter().map(Value::Int).collect())
    }

    #[test]
    fn a_reply_that_is_not_the_scripts_is_an_error_never_a_panic() {
        for algorithm in
            [Algorithm::SlidingWindow, Algorithm::SlidingCounter, Algorithm::FixedWindow, Algorithm::TokenBucket]
        {
            let asked = asks(algorithm);
            for odd in [
                Value::Nil,
                Value::Int(1),
                Value::Array(vec![]),
                reply(&[&[1]]),
                reply(&[&[1], &[1, 2, 3]]),
                reply(&[&[1], &[1, 2, 3, 4, 5]]),
                reply(&[&[-1], &[1, 2, 3, 4]]),
                Value::Array(vec![Value::Int(1), Value::Int(1), Value::Nil, Value::Nil, Value::Nil]),
            ] {
                assert!(groups(odd, &[&asked]).is_err());
            }
            for number in [-1, i64::MIN, i64::MAX] {
                let _ = groups(reply(&[&[i64::MAX], &[number; 4]]), &[&asked]).unwrap();
            }
        }
    }

    #[test]
    fn a_groups_error_is_its_own() {
        let error = Value::BulkString(b"WRONGTYPE Operation against a key".to_vec());
        let values = [1, 1, 5, 0, -1].map(Value::Int).into_iter().chain([error]);
        let asked = asks(Algorithm::SlidingWindow);
        let answers = groups(Value::Array(values.collect()), &[&asked, &asked]).unwrap();
        assert_eq!(answers[0].as_ref().unwrap()[0].remaining, 4);
        assert_eq!(answers[1].as_ref().unwrap_err().kind(), StoreErrorKind::WrongType);
    }
}
