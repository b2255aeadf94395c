//! A call of one of the two scripts: the groups it decides, its arguments, and its reply.
//!
//! `check.lua` is for what nearly every request asks, `whole.lua` for the rest. Requests that each ask for one unit of the
//! same limit share one operation: the script says how many units fit, and here each request is answered as if they had come
//! one after the other.

use smallvec::SmallVec;

use super::decode::{self, Part};
use super::encode::{self, Arguments};
use super::group::{Group, Op, RemoteCheck};
use crate::error::StoreError;
use crate::store::Verdicts;

/// The most groups in a call, limits in a group and different quotas that `check.lua` has characters for.
const MOST: usize = 64;

/// The Lua function `make_counter_rule(kind)`. Each file is a part of its body, so that a call only makes the functions of the
/// kinds that it needs.
macro_rules! counter_rules {
    () => {
        concat!(
            "local function make_counter_rule(kind)\n",
            include_str!("counters.lua"),
            "if kind == 'f' then\n",
            include_str!("fixed_window.lua"),
            "elseif kind == 'c' then\n",
            include_str!("sliding_counter.lua"),
            "else\n",
            include_str!("token_bucket.lua"),
            "end\nend\n",
        )
    };
}

/// Which script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Script {
    /// `check.lua`: one unit of each limit.
    Check,
    /// `whole.lua`: everything.
    Whole,
}

impl Script {
    pub(crate) const ALL: [Script; 2] = [Script::Check, Script::Whole];

    /// The script that decides this group.
    pub(crate) fn of(group: &Group) -> Script {
        let is_simple = matches!(group.op, Op::Check) && group.checks.iter().all(|check| check.cost == 1);
        if is_simple && !group.is_handed_over && group.checks.len() <= MOST { Script::Check } else { Script::Whole }
    }

    /// Its text.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Script::Check => concat!(include_str!("head.lua"), counter_rules!(), include_str!("check.lua")),
            Script::Whole => {
                concat!(include_str!("head.lua"), counter_rules!(), include_str!("log.lua"), include_str!("whole.lua"))
            }
        }
    }
}

/// The names (hashes) of the scripts on a server.
#[derive(Debug, Default)]
pub(crate) struct ScriptNames {
    check: String,
    whole: String,
}

impl ScriptNames {
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
    /// For each group, the operation that it shares. Empty for `whole.lua`.
    shares: Vec<Share>,
    /// Whether the server is not told which arguments are keys, so that they may be of several slots.
    is_undeclared: bool,
}

/// The operation of a group.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// The first group of the operation.
    first: usize,
    /// How many groups share the operation, at the first of them; 0 at the others.
    units: usize,
}

/// A call without its groups: enough to read its reply.
#[cfg(feature = "redis")]
#[derive(Debug)]
pub(crate) struct Plan {
    script: Script,
    shares: Vec<Share>,
}

/// The answer to one group; `None` if `check.lua` has handed it over to `whole.lua`, undecided.
pub(crate) type GroupAnswer = Option<Result<Verdicts, StoreError>>;

impl<'g> Call<'g> {
    /// A call that decides these groups, which are all for the same script.
    pub(crate) fn new(groups: &'g [&'g Group]) -> Call<'g> {
        let simple = groups.len() <= MOST && groups.iter().all(|group| Script::of(group) == Script::Check);
        if simple && encode::quotas(groups.iter().copied()).len() <= MOST {
            Call { script: Script::Check, groups, shares: shares(groups), is_undeclared: false }
        } else {
            Call { script: Script::Whole, groups, shares: Vec::new(), is_undeclared: false }
        }
    }

    /// The same, for groups of several slots of a node of a cluster. A group whose keys the node does not have is handed over.
    /// `None` if `check.lua` cannot decide them in one call.
    #[cfg(feature = "redis")]
    pub(crate) fn undeclared(groups: &'g [&'g Group]) -> Option<Call<'g>> {
        let call = Call::new(groups);
        (call.script == Script::Check).then_some(Call { is_undeclared: true, ..call })
    }

    #[cfg(feature = "redis")]
    pub(crate) fn into_plan(self) -> Plan {
        Plan { script: self.script, shares: self.shares }
    }

    /// The call that was made of these groups.
    #[cfg(feature = "redis")]
    pub(crate) fn with_plan(groups: &'g [&'g Group], plan: Plan) -> Call<'g> {
        Call { script: plan.script, groups, shares: plan.shares, is_undeclared: false }
    }

    pub(crate) fn script(&self) -> Script {
        self.script
    }

    /// Writes what follows the script's name or text: the number of keys, the keys, and the other arguments.
    pub(crate) fn write(&self, to: &mut impl Arguments) {
        match self.script {
            Script::Check => {
                let operations: SmallVec<[(&Group, usize); MOST]> =
                    self.operations().map(|(_, group, units)| (group, units)).collect();
                encode::write_check(to, &operations, self.is_undeclared);
            }
            Script::Whole => encode::write_whole(to, self.groups),
        }
    }

    /// The answer to each group, or an error if the reply is not one of the script's.
    pub(crate) fn read(&self, parts: impl IntoIterator<Item = Part>) -> Result<Vec<GroupAnswer>, StoreError> {
        if self.script == Script::Whole {
            return Ok(decode::groups(parts, self.groups)?.into_iter().map(Some).collect());
        }
        let mut parts = parts.into_iter();
        let now = decode::time(&mut parts)?;
        let mut answers: Vec<GroupAnswer> = self.groups.iter().map(|_| None).collect();
        for (first, group, units) in self.operations() {
            let Some(answer) = decode::checked(now, &mut parts, group, units)? else { continue };
            let mut sharers = answers.iter_mut().zip(&self.shares).filter(|(_, share)| share.first == first);
            match answer {
                Ok(verdicts) => {
                    for verdicts in verdicts {
                        let (place, _) = sharers.next().ok_or_else(decode::malformed)?;
                        *place = Some(Ok(verdicts));
                    }
                    // Without an answer the group would be sent again, although it has run.
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

/// Groups that ask for one unit of the same limit share an operation.
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

fn is_same(one: &RemoteCheck, other: &RemoteCheck) -> bool {
    one.shadow == other.shadow && one.compact == other.compact && one.quota == other.quota && one.key == other.key
}

/// A quick hash of the key, so that few keys are compared.
fn mark(check: &RemoteCheck) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let fold = |mark: u64, bytes: &[u8]| (mark.rotate_left(5) ^ word(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    check.key.as_bytes().chunks(8).fold(1, fold)
}

#[cfg(test)]
mod tests;
