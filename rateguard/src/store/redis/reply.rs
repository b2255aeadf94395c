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
    if reply.len() != asked.len() + 1 {
        return Err(malformed());
    }
    let mut answers = reply.drain(..);
    let Some(Value::Int(now)) = answers.next() else { return Err(malformed()) };
    let now = u64::try_from(now).map_err(|_| malformed())?;
    Ok(answers.zip(asked).map(|(answer, group)| verdicts(now, answer, group)).collect())
}

fn verdicts(now: u64, answer: Value, group: &Group) -> Result<Verdicts, StoreError> {
    let numbers = match answer {
        Value::Array(numbers) => numbers,
        Value::BulkString(error) => return Err(named(&String::from_utf8_lossy(&error))),
        Value::SimpleString(error) => return Err(named(&error)),
        _ => return Err(malformed()),
    };
    let checks = match group.op {
        Op::Check | Op::Peek => group.checks.as_slice(),
        Op::Refund(_) | Op::Reset => &[],
    };
    if numbers.len() != 4 * checks.len() {
        return Err(malformed());
    }
    let assessed: SmallVec<[Assessment; 2]> = numbers
        .chunks_exact(4)
        .zip(checks)
        .map(|(numbers, check)| assessment(numbers, check))
        .collect::<Result<_, _>>()?;
    let charged =
        matches!(group.op, Op::Check) && assessed.iter().zip(checks).all(|(a, check)| a.admitted || check.shadow);
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
    use crate::quota::Quota;
    use std::time::Duration;

    fn asks(algorithm: Algorithm) -> Group {
        let quota = Quota::try_new(algorithm, 5, Duration::from_secs(60)).unwrap();
        let check = RedisCheck { key: String::new(), quota, form: "z", cost: 1, shadow: false };
        Group { op: Op::Check, checks: [check].into_iter().collect() }
    }

    fn numbers(numbers: [i64; 4]) -> Value {
        Value::Array(numbers.map(Value::Int).to_vec())
    }

    #[test]
    fn a_reply_that_is_not_the_scripts_is_an_error_never_a_panic() {
        for algorithm in
            [Algorithm::SlidingWindow, Algorithm::SlidingCounter, Algorithm::FixedWindow, Algorithm::TokenBucket]
        {
            let asked = asks(algorithm);
            for reply in [
                Value::Nil,
                Value::Int(1),
                Value::Array(vec![]),
                Value::Array(vec![Value::Int(1)]),
                Value::Array(vec![Value::Nil, Value::Nil]),
                Value::Array(vec![Value::Int(-1), Value::Nil]),
            ] {
                assert!(groups(reply, &[&asked]).is_err());
            }
            for odd in [
                Value::Array(vec![Value::Int(1)]),
                numbers([-1; 4]),
                numbers([i64::MAX; 4]),
                numbers([i64::MIN; 4]),
                Value::Nil,
            ] {
                let _ = groups(Value::Array(vec![Value::Int(i64::MAX), odd]), &[&asked]).unwrap();
            }
        }
    }

    #[test]
    fn a_groups_error_is_its_own() {
        let good = numbers([1, 5, 0, -1]);
        let bad = Value::BulkString(b"WRONGTYPE Operation against a key".to_vec());
        let asked = asks(Algorithm::SlidingWindow);
        let answers = groups(Value::Array(vec![Value::Int(1), good, bad]), &[&asked, &asked]).unwrap();
        assert_eq!(answers[0].as_ref().unwrap()[0].remaining, 4);
        assert_eq!(answers[1].as_ref().unwrap_err().kind(), StoreErrorKind::WrongType);
    }
}
