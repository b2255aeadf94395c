//! Limits in several slots, decided together: a client sees all or nothing.
//!
//! One server decides a group in one script. Several servers cannot, so all of them are first asked what they would answer
//! (a peek). If one would deny, that is the answer, and nothing is charged anywhere. If all would allow, all are charged; and
//! if one denies after all, because another request was quicker, the others give back what they took.
//!
//! This is weaker than on one server. Between a charge and its return, which is one round trip, other requests may be denied
//! because of the units that come back; and if this process or a connection ends in between, the charges stay. Neither
//! allows more than a limit.

use std::time::Duration;

use smallvec::SmallVec;

use super::hash_slot::slot;
use crate::algorithm::Verdict;
use crate::error::StoreError;
use crate::store::Verdicts;
use crate::store::remote::job::{Answer, Receiver, Reply, task_ended};
use crate::store::remote::script::{Group, Op, RemoteCheck};

/// The checks of one call, by their places in the group.
pub(super) type Part = SmallVec<[usize; 2]>;

/// A part for each slot; `None` if there is only one slot, as nearly always.
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

/// A part for each check, for a slot that is moving from one node to another and has keys on both.
pub(super) fn one_by_one(group: &Group) -> Vec<Part> {
    (0..group.checks.len()).map(|at| Part::from_slice(&[at])).collect()
}

/// Answers a ping once all of these are answered.
pub(super) async fn all_answer(pings: Vec<Result<Receiver<()>, StoreError>>, reply: Reply<()>) {
    let mut all = Answer { result: Ok(()), waited: Duration::ZERO };
    for ping in pings {
        let answer = match ping {
            Ok(receiver) => receive(receiver).await,
            Err(error) => Answer { result: Err(error), waited: Duration::ZERO },
        };
        all.result = all.result.and(answer.result);
        all.waited = all.waited.max(answer.waited);
    }
    // The caller may have been cancelled.
    let _ = reply.send(all);
}

/// A group, and how a part of it is sent to its node.
pub(super) struct CrossSlot<'a, S> {
    pub(super) submit: S,
    pub(super) deadline: Duration,
    pub(super) group: &'a Group,
    pub(super) parts: &'a [Part],
}

type PartAnswers = Vec<Result<Verdicts, StoreError>>;

impl<S: Fn(Group, Duration) -> Receiver<Verdicts>> CrossSlot<'_, S> {
    pub(super) async fn decide(&self, left: Duration, reply: Reply<Verdicts>) {
        let is_check = matches!(self.group.op, Op::Check);
        let op = if is_check { Op::Peek } else { self.group.op };
        let (peeked, waited) = self.ask_all(op, left).await;
        let peeked = self.join(peeked);
        // A caller that was cancelled is not charged.
        let go_on = is_check && !reply.is_closed() && peeked.as_ref().is_ok_and(|verdicts| self.all_allow(verdicts));
        if !go_on {
            let _ = reply.send(Answer { result: peeked, waited });
            return;
        }
        let (charged, more) = self.ask_all(Op::Check, left.saturating_sub(waited)).await;
        let waited = waited + more;
        let joined = self.join(charged.clone());
        if joined.as_ref().is_ok_and(|verdicts| self.all_allow(verdicts)) {
            let _ = reply.send(Answer { result: joined, waited });
            return;
        }
        let (refunds, remaining) = self.give_back(charged);
        let _ = reply.send(Answer { result: self.join(remaining), waited });
        for refund in refunds {
            // What cannot be given back expires.
            let _ = receive(refund).await;
        }
    }

    /// The answer of each part, and how long the slowest took.
    async fn ask_all(&self, op: Op, left: Duration) -> (PartAnswers, Duration) {
        let group = |part: &Part| Group::new(op, self.checks(part).cloned().collect());
        let asked: Vec<_> = self.parts.iter().map(|part| (self.submit)(group(part), left)).collect();
        let mut answers = Vec::with_capacity(asked.len());
        let mut waited = Duration::ZERO;
        for receiver in asked {
            let answer = receive(receiver).await;
            waited = waited.max(answer.waited);
            answers.push(answer.result);
        }
        (answers, waited)
    }

    fn checks(&self, part: &Part) -> impl Iterator<Item = &RemoteCheck> {
        part.iter().filter_map(|at| self.group.checks.get(*at))
    }

    /// Joins the answers of the parts to one of the group.
    fn join(&self, answers: PartAnswers) -> Result<Verdicts, StoreError> {
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

    fn all_allow(&self, verdicts: &Verdicts) -> bool {
        verdicts.iter().zip(&self.group.checks).all(|(verdict, check)| verdict.allowed || check.shadow)
    }

    /// Gives back what was charged. Returns the refunds under way, and the verdicts after them.
    fn give_back(&self, charged: PartAnswers) -> (Vec<Receiver<Verdicts>>, PartAnswers) {
        let mut refunds = Vec::new();
        let remaining = self.parts.iter().zip(charged).map(|(part, answer)| {
            let mut verdicts = answer?;
            for (&at, verdict) in part.iter().zip(&mut verdicts) {
                let (Some(receipt), Some(check)) = (verdict.receipt.take(), self.group.checks.get(at)) else {
                    continue;
                };
                // Requests in this process may have been denied because of these units; the check has a `forget` for that.
                refunds.push((self.submit)(Group::refund(check.clone(), Some(receipt)), self.deadline));
                let capacity = check.quota.capacity();
                verdict.remaining = verdict.remaining.saturating_add(check.cost).min(capacity);
                if verdict.remaining == capacity {
                    verdict.reset_after = 0;
                }
            }
            Ok(verdicts)
        });
        let remaining = remaining.collect();
        (refunds, remaining)
    }
}

async fn receive<T>(receiver: Receiver<T>) -> Answer<T> {
    receiver.await.unwrap_or_else(|_| Answer { result: Err(task_ended()), waited: Duration::ZERO })
}
