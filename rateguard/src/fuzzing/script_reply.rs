//! The answers of a server.

use std::time::Duration;

use crate::algorithm::Receipt;
use crate::quota::{Algorithm, Quota};
use crate::store::remote::script::decode;
use crate::store::remote::script::{Call, Group, Op, Part, RemoteCheck};

/// Reads bytes as the request, and as the answer to it.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn group(&mut self) -> Option<Group> {
        let (op, count) = (self.next()?, self.next()? % 3 + 1);
        let op = match op % 8 {
            0 => Op::Peek,
            1 => Op::Refund(Some(Receipt::of_server(1))),
            2 => Op::Reset,
            _ => Op::Check,
        };
        let checks = (0..count).map(|_| self.check()).collect::<Option<_>>()?;
        Some(Group::new(op, checks))
    }

    fn check(&mut self) -> Option<RemoteCheck> {
        const ALGORITHMS: [Algorithm; 4] =
            [Algorithm::SlidingWindow, Algorithm::SlidingCounter, Algorithm::FixedWindow, Algorithm::TokenBucket];
        let (sort, key) = (self.next()?, self.next()? % 3);
        let algorithm = *ALGORITHMS.get(usize::from(sort % 4))?;
        let limit = if sort & 4 == 0 { 5 } else { u32::MAX };
        let quota = Quota::try_new(algorithm, limit, Duration::from_secs(60)).ok()?;
        let cost = if sort & 8 == 0 { 1 } else { 7 };
        Some(RemoteCheck::new(key.to_string(), quota, cost).shadow(sort & 16 == 16))
    }

    fn part(&mut self) -> Option<Part> {
        Some(match self.next()? {
            0 => Part::Other,
            1 => Part::Text("WRONGTYPE of another".to_owned()),
            2 => {
                let (text, rest) = self.0.split_at(self.0.len().min(12));
                self.0 = rest;
                Part::Text(String::from_utf8_lossy(text).into_owned())
            }
            3 => {
                let (number, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Part::Number(i64::from_le_bytes(*number))
            }
            4 => Part::Number(i64::MIN),
            5 => Part::Number(i64::MAX),
            6 => Part::Number(i64::from(u32::MAX)),
            // -1 and small numbers, which the scripts mostly answer.
            other => Part::Number(i64::from(other) - 8),
        })
    }
}

/// Replies of a server that may send anything: an answer for each group, or an error, and no panic.
pub fn script_reply(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let Some(count) = bytes.next() else { return };
    let Some(groups) = (0..=count % 4).map(|_| bytes.group()).collect::<Option<Vec<_>>>() else { return };
    let sent: Vec<&Group> = groups.iter().collect();
    let rest = bytes.0;
    let parts = || {
        let mut bytes = Bytes(rest);
        std::iter::from_fn(move || bytes.part())
    };
    if let Ok(answers) = Call::new(&sent).read(parts()) {
        assert_eq!(answers.len(), groups.len());
        for (answer, group) in answers.iter().zip(&groups) {
            if let Some(Ok(verdicts)) = answer {
                assert!(verdicts.is_empty() || verdicts.len() == group.checks.len());
            }
        }
    }
    if let Ok(answers) = decode::groups(parts(), &sent) {
        assert_eq!(answers.len(), groups.len());
    }
}
