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

use super::Cluster;
use super::slots::slot;
use crate::algorithm::Verdict;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Verdicts;
use crate::store::remote::job::{Reply, Told};
use crate::store::remote::queue::current_runtime;
use crate::store::remote::redis::{Group, Op, RedisCheck};
use crate::store::remote::wait::Answer;

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
pub(super) fn start(
    cluster: &Cluster,
    group: Group,
    parts: Vec<Part>,
    left: Duration,
    reply: Reply<Verdicts>,
) -> Result<(), StoreError> {
    let runtime = current_runtime()?;
    let cluster = cluster.this.clone();
    runtime.spawn(async move {
        // The last handle is gone, and with it whoever would wait.
        let Some(cluster) = cluster.upgrade() else { return };
        let apart = Apart { cluster: &cluster, group: &group, parts: &parts };
        apart.decide(left, reply).await;
    });
    Ok(())
}

/// Whether all of these answer, for a health check.
pub(super) async fn all_answer(pings: Vec<Result<Answer<()>, StoreError>>, reply: Reply<()>) {
    let mut all = Told { result: Ok(()), waited: Duration::ZERO };
    for ping in pings {
        let told = match ping {
            Ok(answer) => told(answer).await,
            Err(error) => Told { result: Err(error), waited: Duration::ZERO },
        };
        all.result = all.result.and(told.result);
        all.waited = all.waited.max(told.waited);
    }
    // The caller may have been cancelled.
    let _ = reply.send(all);
}

struct Apart<'a> {
    cluster: &'a Cluster,
    group: &'a Group,
    parts: &'a [Part],
}

impl Apart<'_> {
    async fn decide(&self, left: Duration, reply: Reply<Verdicts>) {
        let is_check = matches!(self.group.op, Op::Check);
        let op = if is_check { Op::Peek } else { self.group.op };
        let (seen, waited) = self.ask_all(op, left).await;
        let seen = self.together(seen);
        // A caller that was cancelled is not charged.
        let go_on = is_check && !reply.is_closed() && seen.as_ref().is_ok_and(|seen| self.all_admit(seen));
        if !go_on {
            let _ = reply.send(Told { result: seen, waited });
            return;
        }
        let (charged, more) = self.ask_all(Op::Check, left.saturating_sub(waited)).await;
        let waited = waited + more;
        let together = self.together(charged.clone());
        if together.as_ref().is_ok_and(|verdicts| self.all_admit(verdicts)) {
            let _ = reply.send(Told { result: together, waited });
            return;
        }
        let (given_back, returned) = self.give_back(charged);
        let _ = reply.send(Told { result: self.together(returned), waited });
        for answer in given_back {
            // What cannot be given back expires.
            let _ = told(answer).await;
        }
    }

    /// The answer of each part, and how long the slowest took.
    async fn ask_all(&self, op: Op, left: Duration) -> (Vec<Result<Verdicts, StoreError>>, Duration) {
        let group = |part: &Part| Group::new(op, self.checks(part).cloned().collect());
        let asked: Vec<_> = self.parts.iter().map(|part| self.cluster.submit(group(part), left)).collect();
        let mut answers = Vec::with_capacity(asked.len());
        let mut waited = Duration::ZERO;
        for answer in asked {
            let told = told(answer).await;
            waited = waited.max(told.waited);
            answers.push(told.result);
        }
        (answers, waited)
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
        if all.len() != self.group.checks.len() {
            debug_assert!(false, "a check of the group has no verdict");
            return Err(StoreError::other("the store answered another request"));
        }
        all.sort_unstable_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, verdict)| verdict).collect())
    }

    fn all_admit(&self, verdicts: &Verdicts) -> bool {
        verdicts.iter().zip(&self.group.checks).all(|(verdict, check)| verdict.allowed || check.shadow)
    }

    /// Has whatever was charged given back. Comes back with the verdicts as they are then.
    fn give_back(
        &self,
        charged: Vec<Result<Verdicts, StoreError>>,
    ) -> (Vec<Answer<Verdicts>>, Vec<Result<Verdicts, StoreError>>) {
        let mut given_back = Vec::new();
        let returned = self.parts.iter().zip(charged).map(|(part, answer)| {
            let mut verdicts = answer?;
            for (&at, verdict) in part.iter().zip(&mut verdicts) {
                let (Some(receipt), Some(check)) = (verdict.receipt.take(), self.group.checks.get(at)) else {
                    continue;
                };
                let checks = [check.clone()].into_iter().collect();
                let mut group = Group::new(Op::Refund(Some(receipt)), checks);
                // Others of this process were denied for want of these units.
                if let Some(forget) = self.group.forget.get(at) {
                    group = group.forgetting(forget.clone());
                }
                given_back.push(self.cluster.submit(group, self.cluster.deadline));
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

async fn told<T>(answer: Answer<T>) -> Told<T> {
    answer.await.unwrap_or_else(|_| Told {
        result: Err(StoreError::new(StoreErrorKind::Unreachable, "the node's connection has ended")),
        waited: Duration::ZERO,
    })
}
