//! Limits that are on several servers, all or nothing as far as a client can tell.
//!
//! One server decides a group in one script. Several cannot; so all of them are asked first what they would say. If one
//! would refuse, that is the answer, and nothing was charged anywhere. If all would admit, all are charged; and if one
//! refuses after all, because another request was quicker, the others give back what they took.
//!
//! What is weaker than on one server: between the charge and its return, which is a round trip, others may be refused
//! for want of the units that come back; and if this process, or a connection, ends in between, the charges that were
//! made stay. Neither admits more than a limit.

use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Cluster;
use super::slots::slot;
use crate::algorithm::Verdict;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;
use crate::store::link::current_runtime;
use crate::store::redis::{Answer, Group, Op, RedisCheck, Reply};

/// The checks of one part, by where they stand in the group.
type Part = SmallVec<[usize; 2]>;

/// A part for each slot; `None` if there is only one, as nearly always.
pub(super) fn by_slot(group: &Group) -> Option<Vec<Part>> {
    let [first, rest @ ..] = group.checks.as_slice() else { return None };
    if rest.is_empty() {
        return None;
    }
    let of_first = slot(&first.key);
    if rest.iter().all(|check| slot(&check.key) == of_first) {
        return None;
    }
    let mut parts: Vec<(u16, Part)> = Vec::new();
    for (at, check) in group.checks.iter().enumerate() {
        let slot = slot(&check.key);
        match parts.iter_mut().find(|(known, _)| *known == slot) {
            Some((_, part)) => part.push(at),
            None => parts.push((slot, Part::from_slice(&[at]))),
        }
    }
    Some(parts.into_iter().map(|(_, part)| part).collect())
}

/// A part for each check, while a slot is on its way from one node to another and has keys on both.
pub(super) fn one_by_one(group: &Group) -> Vec<Part> {
    (0..group.checks.len()).map(|at| Part::from_slice(&[at])).collect()
}

/// Starts it; the answer comes by `reply`.
pub(super) fn start(cluster: &Cluster, group: Group, parts: Vec<Part>, reply: Reply) -> Result<(), StoreError> {
    let runtime = current_runtime()?;
    let until = Instant::now() + cluster.deadline;
    let cluster = cluster.this.clone();
    runtime.spawn(async move {
        // The last handle is gone, and with it whoever would wait.
        let Some(cluster) = cluster.upgrade() else { return };
        let apart = Apart { cluster: &cluster, group: &group, parts: &parts, until };
        apart.decide(reply).await;
    });
    Ok(())
}

/// Whether all of these answer, for a health check.
pub(super) async fn all_answer(
    pings: Vec<Result<Answer<()>, StoreError>>,
    deadline: Duration,
    reply: oneshot::Sender<Result<(), StoreError>>,
) {
    let until = Instant::now() + deadline;
    let mut all = Ok(());
    for ping in pings {
        let answer = match ping {
            Ok(answer) => in_time(answer, until).await,
            Err(error) => Err(error),
        };
        all = all.and(answer);
    }
    // Whoever has gone meanwhile does not need the answer.
    let _ = reply.send(all);
}

struct Apart<'a> {
    cluster: &'a Cluster,
    group: &'a Group,
    parts: &'a [Part],
    until: Instant,
}

impl Apart<'_> {
    async fn decide(&self, reply: Reply) {
        let is_check = matches!(self.group.op, Op::Check);
        let op = if is_check { Op::Peek } else { self.group.op };
        let seen = self.together(self.ask_all(op).await);
        // Whoever has gone meanwhile does not need the answer, and is not charged.
        let go_on = is_check && !reply.is_closed() && seen.as_ref().is_ok_and(|seen| self.all_admit(seen));
        if !go_on {
            let _ = reply.send(seen);
            return;
        }
        let charged = self.ask_all(Op::Check).await;
        let together = self.together(charged.clone());
        if together.as_ref().is_ok_and(|verdicts| self.all_admit(verdicts)) {
            let _ = reply.send(together);
            return;
        }
        let (given_back, returned) = self.give_back(charged);
        let _ = reply.send(self.together(returned));
        for answer in given_back {
            // What cannot be given back expires.
            let _ = in_time(answer, Instant::now() + self.cluster.deadline).await;
        }
    }

    /// The answer of each part.
    async fn ask_all(&self, op: Op) -> Vec<Result<Verdicts, StoreError>> {
        let group = |part: &Part| Group::new(op, self.checks(part).cloned().collect());
        let asked: Vec<_> = self.parts.iter().map(|part| self.cluster.submit(group(part))).collect();
        let mut answers = Vec::with_capacity(asked.len());
        for answer in asked {
            answers.push(in_time(answer, self.until).await);
        }
        answers
    }

    fn checks(&self, part: &Part) -> impl Iterator<Item = &RedisCheck> {
        part.iter().filter_map(|at| self.group.checks.get(*at))
    }

    /// The answers of the parts as that of the group.
    fn together(&self, answers: Vec<Result<Verdicts, StoreError>>) -> Result<Verdicts, StoreError> {
        let mut all: Vec<(usize, Verdict)> = Vec::with_capacity(self.group.checks.len());
        for (part, answer) in self.parts.iter().zip(answers) {
            all.extend(part.iter().copied().zip(answer?));
        }
        all.sort_unstable_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, verdict)| verdict).collect())
    }

    fn all_admit(&self, verdicts: &Verdicts) -> bool {
        verdicts.iter().zip(&self.group.checks).all(|(verdict, check)| verdict.admitted || check.shadow)
    }

    /// Has whatever was charged given back. Comes back with the verdicts as they are then.
    fn give_back(
        &self,
        charged: Vec<Result<Verdicts, StoreError>>,
    ) -> (Vec<Answer<Verdicts>>, Vec<Result<Verdicts, StoreError>>) {
        let mut given_back = Vec::new();
        let returned = self.parts.iter().zip(charged).map(|(part, answer)| {
            let mut verdicts = answer?;
            for (check, verdict) in self.checks(part).zip(&mut verdicts) {
                let Some(receipt) = verdict.receipt.take() else { continue };
                let checks = [check.clone()].into_iter().collect();
                given_back.push(self.cluster.submit(Group::new(Op::Refund(Some(receipt)), checks)));
                let capacity = check.quota.capacity();
                verdict.remaining = verdict.remaining.saturating_add(check.cost).min(capacity);
                if verdict.remaining == capacity {
                    verdict.reset_after = 0;
                }
            }
            Ok(verdicts)
        });
        let returned = returned.collect();
        (given_back, returned)
    }
}

async fn in_time<T>(answer: Answer<T>, until: Instant) -> Result<T, StoreError> {
    match timeout_at(until, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(StoreError::new(StoreErrorKind::Unreachable, "the node's connection has ended")),
        Err(_) => Err(StoreError::timed_out()),
    }
}
