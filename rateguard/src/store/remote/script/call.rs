//! A call of one of the two scripts: which groups it decides, how it is written and its reply is read.
//!
//! `check.lua` is for what nearly every request asks, `whole.lua` for the rest. Many requests that ask for a unit of the
//! same limit are one operation of which as much is allowed as fits, in their order; what each of them is answered is
//! worked out here, as if they had come one after the other.

use smallvec::SmallVec;

use super::decode::{self, Part};
use super::encode::{self, Arguments};
use super::{Group, RedisCheck};
use crate::error::StoreError;
use crate::store::Verdicts;

/// As many groups of one call, limits of one group and different quotas as `check.lua` has characters for.
pub(super) const MOST: usize = 64;

/// Which script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Script {
    /// One unit each of one limit or of several.
    Check,
    /// Everything.
    Whole,
}

impl Script {
    pub(crate) const ALL: [Script; 2] = [Script::Check, Script::Whole];

    /// Its text.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Script::Check => concat!(include_str!("head.lua"), include_str!("counters.lua"), include_str!("check.lua")),
            Script::Whole => concat!(
                include_str!("head.lua"),
                include_str!("counters.lua"),
                include_str!("log.lua"),
                include_str!("whole.lua")
            ),
        }
    }
}

/// The scripts' names on a server.
#[derive(Debug, Default)]
pub(crate) struct Names {
    check: String,
    whole: String,
}

impl Names {
    pub(crate) fn get(&self, script: Script) -> &str {
        match script {
            Script::Check => &self.check,
            Script::Whole => &self.whole,
        }
    }

    pub(crate) fn set(&mut self, script: Script, name: String) {
        match script {
            Script::Check => self.check = name,
            Script::Whole => self.whole = name,
        }
    }
}

/// Groups that one script decides in one call.
#[derive(Debug)]
pub(crate) struct Call<'g> {
    script: Script,
    groups: &'g [&'g Group],
    /// Beside each group, with which it shares an operation.
    shares: Vec<Share>,
}

/// The first of those that share an operation, and how many they are. The others have 0.
#[derive(Clone, Copy, Debug)]
struct Share {
    first: usize,
    units: usize,
}

/// How a call was made, without the groups: enough to read its reply.
#[cfg(feature = "redis")]
#[derive(Debug)]
pub(crate) struct Plan {
    script: Script,
    shares: Vec<Share>,
}

/// The answer to one group; `None` if `check.lua` has handed it over, undone.
pub(crate) type Answered = Option<Result<Verdicts, StoreError>>;

impl<'g> Call<'g> {
    /// A call that decides these, which are all for one script.
    pub(crate) fn new(groups: &'g [&'g Group]) -> Call<'g> {
        let simple = groups.len() <= MOST && groups.iter().all(|group| group.script() == Script::Check);
        if simple && encode::quotas(groups.iter().copied()).len() <= MOST {
            Call { script: Script::Check, groups, shares: shares(groups) }
        } else {
            Call { script: Script::Whole, groups, shares: Vec::new() }
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn into_plan(self) -> Plan {
        Plan { script: self.script, shares: self.shares }
    }

    /// The call that was made of these groups by this plan.
    #[cfg(feature = "redis")]
    pub(crate) fn with_plan(groups: &'g [&'g Group], plan: Plan) -> Call<'g> {
        Call { script: plan.script, groups, shares: plan.shares }
    }

    pub(crate) fn script(&self) -> Script {
        self.script
    }

    /// What follows the script's name or text: the number of keys, the keys, and the rest.
    pub(crate) fn write(&self, to: &mut impl Arguments) {
        match self.script {
            Script::Check => {
                let operations: SmallVec<[(&Group, usize); MOST]> =
                    self.operations().map(|(_, group, units)| (group, units)).collect();
                encode::write_check(to, &operations);
            }
            Script::Whole => encode::write(to, self.groups),
        }
    }

    /// The answers to each group, or an error if the reply is not what the script sends.
    pub(crate) fn read(&self, parts: impl IntoIterator<Item = Part>) -> Result<Vec<Answered>, StoreError> {
        if self.script == Script::Whole {
            return Ok(decode::groups(parts, self.groups)?.into_iter().map(Some).collect());
        }
        let mut parts = parts.into_iter();
        let now = decode::time(&mut parts)?;
        let mut answers: Vec<Answered> = self.groups.iter().map(|_| None).collect();
        for (first, group, units) in self.operations() {
            let Some(answer) = decode::checked(now, &mut parts, group, units)? else { continue };
            let mut sharers = answers.iter_mut().zip(&self.shares).filter(|(_, share)| share.first == first);
            match answer {
                Ok(verdicts) => {
                    for verdicts in verdicts {
                        let (place, _) = sharers.next().ok_or_else(decode::malformed)?;
                        *place = Some(Ok(verdicts));
                    }
                    // Without an answer it would be sent again, and it has run.
                    if sharers.next().is_some() {
                        return Err(decode::malformed());
                    }
                }
                Err(error) => sharers.for_each(|(place, _)| *place = Some(Err(error.clone()))),
            }
        }
        decode::end(&mut parts)?;
        Ok(answers)
    }

    /// The first group of each operation, and how many share it.
    fn operations(&self) -> impl Iterator<Item = (usize, &'g Group, usize)> {
        let firsts = self.groups.iter().zip(&self.shares).enumerate();
        firsts.filter(|(_, (_, share))| share.units > 0).map(|(at, (group, share))| (at, *group, share.units))
    }
}

/// Who shares with whom: those that ask for a unit of one and the same limit.
fn shares(groups: &[&Group]) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::with_capacity(groups.len());
    let mut marks: SmallVec<[u64; MOST]> = SmallVec::new();
    for (at, group) in groups.iter().enumerate() {
        let [check] = group.checks.as_slice() else {
            marks.push(0);
            shares.push(Share { first: at, units: 1 });
            continue;
        };
        let mark = mark(check);
        let earlier = marks.iter().zip(groups).position(|(known, group)| {
            *known == mark && matches!(group.checks.as_slice(), [other] if is_same(other, check))
        });
        marks.push(mark);
        match earlier.and_then(|first| shares.get_mut(first)) {
            Some(share) => {
                share.units += 1;
                let first = share.first;
                shares.push(Share { first, units: 0 });
            }
            None => shares.push(Share { first: at, units: 1 }),
        }
    }
    shares
}

fn is_same(one: &RedisCheck, other: &RedisCheck) -> bool {
    one.form == other.form && one.quota == other.quota && one.key == other.key
}

/// Tells most keys apart, so that few are compared.
fn mark(check: &RedisCheck) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let fold = |mark: u64, bytes: &[u8]| (mark.rotate_left(5) ^ word(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    check.key.as_bytes().chunks(8).fold(1, fold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Quota;
    use crate::store::remote::script::Op;
    use std::time::Duration;

    #[derive(Default)]
    struct Words(Vec<String>);

    impl Arguments for Words {
        fn text(&mut self, text: &str) {
            self.0.push(text.to_owned());
        }

        fn number(&mut self, number: u64) {
            self.0.push(number.to_string());
        }
    }

    fn check(key: &str) -> RedisCheck {
        let quota = Quota::sliding_window(3, Duration::from_secs(60));
        RedisCheck { key: key.to_owned(), quota, form: "z", cost: 1, shadow: false }
    }

    fn group(keys: &[&str]) -> Group {
        Group::new(Op::Check, keys.iter().map(|key| check(key)).collect())
    }

    #[test]
    fn checks_of_one_limit_are_one_operation_and_each_is_answered_as_if_it_came_after_the_last() {
        let groups = ["a", "b", "a", "a"].map(|key| group(&[key]));
        let groups: Vec<&Group> = groups.iter().collect();
        let call = Call::new(&groups);
        let mut words = Words::default();
        call.write(&mut words);
        assert_eq!(words.0, ["2", "a", "b", "+300", "z", "3", "60000000"]);

        // Two are left of a's, and none of b's.
        let numbers = [1000, 2, 2, 70, -1, 0, 0, 50, 50];
        let answers = call.read(numbers.map(Part::Number)).unwrap();
        let told: Vec<_> = answers
            .into_iter()
            .map(|answer| answer.unwrap().unwrap()[0])
            .map(|verdict| (verdict.allowed, verdict.remaining, verdict.reset_after, verdict.retry_after))
            .collect();
        assert_eq!(
            told,
            [(true, 1, 70, None), (false, 0, 50, Some(50)), (true, 0, 70, None), (false, 0, 70, Some(70))]
        );
    }

    #[test]
    fn limits_together_and_what_is_no_plain_check_share_nothing() {
        let groups = [group(&["a", "b"]), group(&["a", "b"]), group(&["a"])];
        let groups: Vec<&Group> = groups.iter().collect();
        let mut words = Words::default();
        Call::new(&groups).write(&mut words);
        assert_eq!(words.0, ["5", "a", "b", "a", "b", "a", "&200&2000", "z", "3", "60000000"]);

        let peek = Group::new(Op::Peek, [check("a")].into_iter().collect());
        let costly = Group::new(Op::Check, [RedisCheck { cost: 2, ..check("a") }].into_iter().collect());
        for other in [peek, costly] {
            assert_eq!(Call::new(&[&other]).script(), Script::Whole);
        }
    }

    #[test]
    fn what_is_handed_over_has_no_answer_and_an_error_is_that_of_its_own_limit() {
        let groups = ["a", "b", "a", "c"].map(|key| group(&[key]));
        let groups: Vec<&Group> = groups.iter().collect();
        let parts = [Part::Number(1000), Part::Number(-1), Part::Text("OOM no memory".to_owned())];
        let parts = parts.into_iter().chain([1, 3, 0, -1].map(Part::Number));
        let answers = Call::new(&groups).read(parts).unwrap();
        assert!(answers[0].is_none() && answers[2].is_none());
        assert!(answers[1].as_ref().unwrap().is_err());
        assert_eq!(answers[3].as_ref().unwrap().as_ref().unwrap()[0].remaining, 2);
    }

    #[test]
    fn a_reply_that_is_not_the_scripts_is_an_error_never_a_panic() {
        let groups = [group(&["a"]), group(&["a"]), group(&["b", "c"])];
        let groups: Vec<&Group> = groups.iter().collect();
        let call = Call::new(&groups);
        let good = [1, 2, 3, 0, -1, 1, 3, 0, -1, 1, 3, 0, -1];
        assert!(call.read(good.map(Part::Number)).is_ok());
        for cut in 0..good.len() {
            assert!(call.read(good.map(Part::Number).into_iter().take(cut)).is_err());
        }
        assert!(call.read(good.map(Part::Number).into_iter().chain([Part::Number(1)])).is_err());
        for odd in [-2, 3, i64::MIN, i64::MAX] {
            assert!(call.read(good.map(|n| Part::Number(if n == 2 { odd } else { n }))).is_err());
        }
        for at in 1..good.len() {
            for odd in [-1, i64::MIN, i64::MAX] {
                let mut numbers = good;
                numbers[at] = odd;
                let _ = call.read(numbers.map(Part::Number));
            }
        }
    }
}
