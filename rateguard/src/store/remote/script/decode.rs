//! From what the script said to verdicts and errors.

use smallvec::SmallVec;

use super::error_text::named;
use super::{Group, Op, RedisCheck};
use crate::algorithm::fixed_window::Counter;
use crate::algorithm::sliding_counter::Pair;
use crate::algorithm::token_bucket::Bucket;
use crate::algorithm::{Assessment, Receipt};
use crate::error::{StoreError, StoreErrorKind};
use crate::quota::{Algorithm, Quota};
use crate::store::Verdicts;

/// One element of the reply.
#[derive(Debug)]
pub(crate) enum Part {
    Number(i64),
    Text(String),
    /// What the script never sends.
    Other,
}

/// The answers to each group, or an error if the reply is not what the script sends.
pub(crate) fn groups(
    parts: impl IntoIterator<Item = Part>,
    asked: &[&Group],
) -> Result<Vec<Result<Verdicts, StoreError>>, StoreError> {
    let mut parts = parts.into_iter();
    let now = time(&mut parts)?;
    let answers = asked.iter().map(|group| answer(now, &mut parts, group)).collect::<Result<Vec<_>, _>>()?;
    end(&mut parts)?;
    Ok(answers)
}

/// What every reply begins with.
pub(super) fn time(parts: &mut impl Iterator<Item = Part>) -> Result<u64, StoreError> {
    match parts.next() {
        Some(Part::Number(now)) => u64::try_from(now).map_err(|_| malformed()),
        _ => Err(malformed()),
    }
}

/// What is left over belongs to nobody, so nothing can be trusted to belong where it was put.
pub(super) fn end(parts: &mut impl Iterator<Item = Part>) -> Result<(), StoreError> {
    if parts.next().is_none() { Ok(()) } else { Err(malformed()) }
}

/// The verdicts for each request that shares an operation, or its error; nothing if it is handed over.
type Checked = Option<Result<SmallVec<[Verdicts; 1]>, StoreError>>;

/// Takes the part of an operation that so many requests share out of the reply of `check.lua`.
pub(super) fn checked(
    now: u64,
    parts: &mut impl Iterator<Item = Part>,
    group: &Group,
    requests: usize,
) -> Result<Checked, StoreError> {
    let granted = match parts.next() {
        Some(Part::Text(error)) => return Ok(Some(Err(named(&error)))),
        Some(Part::Number(-1)) => return Ok(None),
        Some(Part::Number(granted)) => granted,
        _ => return Err(malformed()),
    };
    let first = [Part::Number(granted)];
    let mut parts = first.into_iter().chain(parts);
    if let ([check], 2..) = (group.checks.as_slice(), requests) {
        let numbers = take(&mut parts, 4)?;
        return Ok(Some(Ok(one_after_the_other(now, &numbers, check, requests)?)));
    }
    let numbers = take(&mut parts, 4 * group.checks.len())?;
    Ok(Some(Ok([verdicts(now, &numbers, &group.checks, Op::Check)?].into_iter().collect())))
}

fn take(parts: &mut impl Iterator<Item = Part>, count: usize) -> Result<SmallVec<[i64; 8]>, StoreError> {
    let number = |part| match part {
        Part::Number(number) => Ok(number),
        _ => Err(malformed()),
    };
    let numbers: SmallVec<[i64; 8]> = parts.take(count).map(number).collect::<Result<_, _>>()?;
    if numbers.len() == count { Ok(numbers) } else { Err(malformed()) }
}

/// What each of several requests for one unit is answered, of which as many were allowed as fitted.
fn one_after_the_other(
    now: u64,
    numbers: &[i64],
    check: &RedisCheck,
    requests: usize,
) -> Result<SmallVec<[Verdicts; 1]>, StoreError> {
    let granted = numbers.first().and_then(|granted| usize::try_from(*granted).ok());
    let granted = granted.filter(|granted| *granted <= requests).ok_or_else(malformed)?;
    let mut found = Found::read(numbers, check)?;
    let verdict = |request| {
        let mut assessed = found.assess(&check.quota, 1);
        assessed.allowed = request < granted;
        let receipt = assessed.allowed.then(|| found.charge(now, &check.quota, 1));
        let verdict = assessed.verdict(assessed.allowed.then_some(1), receipt);
        [verdict].into_iter().collect()
    };
    Ok((0..requests).map(verdict).collect())
}

/// Takes one group's part of the reply: its own error, or its verdicts.
fn answer(
    now: u64,
    parts: &mut impl Iterator<Item = Part>,
    group: &Group,
) -> Result<Result<Verdicts, StoreError>, StoreError> {
    let checks = match group.op {
        Op::Check | Op::Peek => group.checks.as_slice(),
        // Said by the absence of an error alone, which the next group's numbers must not be taken for.
        Op::Refund(_) | Op::Reset => &[],
    };
    let mut numbers: SmallVec<[i64; 8]> = SmallVec::new();
    let expected = if checks.is_empty() { 1 } else { 4 * checks.len() };
    while numbers.len() < expected {
        match parts.next() {
            Some(Part::Text(error)) if numbers.is_empty() => return Ok(Err(named(&error))),
            Some(Part::Number(number)) => numbers.push(number),
            _ => return Err(malformed()),
        }
    }
    Ok(verdicts(now, &numbers, checks, group.op))
}

fn verdicts(now: u64, numbers: &[i64], checks: &[RedisCheck], op: Op) -> Result<Verdicts, StoreError> {
    let found: SmallVec<[(Found, Assessment); 2]> = numbers
        .chunks_exact(4)
        .zip(checks)
        .map(|(numbers, check)| assessment(numbers, check))
        .collect::<Result<_, _>>()?;
    let charged = matches!(op, Op::Check) && found.iter().zip(checks).all(|((_, a), check)| a.allowed || check.shadow);
    let verdict = |((mut found, a), check): ((Found, Assessment), &RedisCheck)| {
        let charged = (charged && a.allowed).then_some(check.cost);
        a.verdict(charged, charged.map(|cost| found.charge(now, &check.quota, cost)))
    };
    Ok(found.into_iter().zip(checks).map(verdict).collect())
}

/// What the script found before the charge.
fn assessment(numbers: &[i64], check: &RedisCheck) -> Result<(Found, Assessment), StoreError> {
    let found = Found::read(numbers, check)?;
    let mut assessed = found.assess(&check.quota, check.cost);
    assessed.allowed = numbers.first() == Some(&1);
    Ok((found, assessed))
}

/// What the script says was counted. The rule is one: of what it leaves to the caller, the rules in `algorithm` make the
/// rest. Times are told from the beginning of the window, or from now.
#[derive(Clone, Copy)]
enum Found {
    /// Units left; until the first leaves, 0 if there is none, and whether it takes a charge and leaves later; until the
    /// cost fits.
    Log {
        available: u32,
        idle: u64,
        renews: bool,
        retry_after: Option<u64>,
    },
    Counter(Counter, u64),
    Pair(Pair, u64),
    /// And how many tokens had been charged.
    Bucket(Bucket, u64),
}

impl Found {
    fn read(numbers: &[i64], check: &RedisCheck) -> Result<Found, StoreError> {
        let [_, a, b, c] = numbers else { return Err(malformed()) };
        let whole = |number: &i64| u64::try_from(*number).map_err(|_| malformed());
        let part = |number: &i64| u32::try_from(*number).map_err(|_| malformed());
        let (limit, window) = (check.quota.limit(), check.quota.window_micros());
        Ok(match check.quota.algorithm() {
            Algorithm::SlidingWindow => Found::Log {
                available: part(a)?,
                idle: b.unsigned_abs(),
                renews: *b <= 0,
                retry_after: u64::try_from(*c).ok(),
            },
            Algorithm::FixedWindow => Found::Counter(Counter { window, start: 0, used: whole(a)? }, whole(b)?),
            Algorithm::SlidingCounter => {
                Found::Pair(Pair { window, start: 0, previous: whole(a)?, current: whole(b)? }, whole(c)?)
            }
            Algorithm::TokenBucket => {
                let burst = check.quota.capacity();
                Found::Bucket(Bucket { limit, window, burst, at: whole(a)?, fraction: part(b)? }, whole(c)?)
            }
        })
    }

    fn assess(&self, quota: &Quota, cost: u32) -> Assessment {
        match self {
            Found::Log { available, idle, renews, retry_after } => Assessment {
                allowed: true,
                available: *available,
                reset_idle: *idle,
                reset_charged: if *renews { quota.window_micros() } else { *idle },
                retry_after: *retry_after,
            },
            Found::Counter(counter, now) => counter.assess(*now, quota, cost),
            Found::Pair(pair, now) => pair.assess(*now, quota, cost),
            Found::Bucket(bucket, _) => bucket.assess(0, quota, cost),
        }
    }

    /// Takes units, after which others may be asked for. What to show to have them given back.
    fn charge(&mut self, now: u64, quota: &Quota, cost: u32) -> Receipt {
        let mut at = now;
        match self {
            Found::Log { available, idle, renews, retry_after } => {
                *available = available.saturating_sub(cost);
                if *renews {
                    *idle = quota.window_micros();
                }
                // Once none is left, the first that leaves makes room for the next.
                *retry_after = (*available == 0).then_some(*idle);
            }
            Found::Counter(counter, now) => counter.charge(*now, cost),
            Found::Pair(pair, _) => pair.charge(cost),
            Found::Bucket(bucket, charged) => {
                bucket.charge(0, cost);
                *charged = charged.saturating_add(cost.into());
                at = *charged;
            }
        }
        Receipt { life: Receipt::SHARED, at }
    }
}

pub(crate) fn malformed() -> StoreError {
    StoreError::new(StoreErrorKind::Protocol, "the server's answer is not the script's")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn asks(algorithm: Algorithm) -> Group {
        let quota = Quota::try_new(algorithm, 5, Duration::from_secs(60)).unwrap();
        let check = RedisCheck { key: String::new(), quota, form: "z", cost: 1, shadow: false };
        Group::new(Op::Check, [check].into_iter().collect())
    }

    fn reply(parts: &[&[i64]]) -> Vec<Part> {
        parts.concat().into_iter().map(Part::Number).collect()
    }

    #[test]
    fn a_reply_that_is_not_the_scripts_is_an_error_never_a_panic() {
        for algorithm in
            [Algorithm::SlidingWindow, Algorithm::SlidingCounter, Algorithm::FixedWindow, Algorithm::TokenBucket]
        {
            let asked = asks(algorithm);
            for odd in [
                vec![],
                vec![Part::Other],
                reply(&[&[1]]),
                reply(&[&[1], &[1, 2, 3]]),
                reply(&[&[1], &[1, 2, 3, 4, 5]]),
                reply(&[&[-1], &[1, 2, 3, 4]]),
                vec![Part::Number(1), Part::Number(1), Part::Other, Part::Other, Part::Other],
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
        let error = Part::Text("WRONGTYPE Operation against a key".to_owned());
        let values = [1, 1, 5, 0, -1].map(Part::Number).into_iter().chain([error]);
        let asked = asks(Algorithm::SlidingWindow);
        let answers = groups(values, &[&asked, &asked]).unwrap();
        assert_eq!(answers[0].as_ref().unwrap()[0].remaining, 4);
        assert_eq!(answers[1].as_ref().unwrap_err().kind(), StoreErrorKind::WrongType);
    }
}
