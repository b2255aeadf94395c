//! Whether a history keeps the limits.
//!
//! A call ran at some unknown time between its begin and its end. A window is a violation only if it is one
//! whenever the calls in it ran:
//!
//! - a charge is in a window that begins with the begin of a charge and holds both its ends;
//! - one that was given back counts until that was asked for, and none counts across a reset that may lie between;
//! - give-backs without a receipt are taken off wherever they may have run;
//! - a quota was in force if a check that may have been the last of the window was answered by it. In windows of a length
//!   only charges under windows at least that long count: others may have been forgotten.
//!
//! Under the sliding window the sum is at most the limit. Under the sliding counter and the fixed window it is at most twice
//! the limit; where nothing but checks was asked of a fixed window, it is known when each window began, and its sum is at
//! most the limit. Under the token bucket it is at most the burst and what comes back in the time from the first to the
//! last.

mod counts;
mod window;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::fmt::Write as _;

use rateguard::Algorithm;

use super::record::{Answer, Asked, Line, Rule};

pub use counts::Counts;
use window::Window;

/// A call without an answer may still run in the server for this long: until it has read what a dead process had sent.
const GRACE: u64 = 10_000_000;
/// Violations of a key that are described.
const DESCRIBED: usize = 2;

/// Units that were surely charged, at some time between these.
#[derive(Clone, Copy, Debug)]
pub struct Charge {
    pub start: u64,
    pub end: u64,
    pub cost: u64,
    pub rule: Rule,
    /// From when on so many of them may have been given back.
    pub given_back: Option<(u64, u64)>,
}

/// What ran at some time between these, if it did, and what it was for.
#[derive(Clone, Copy, Debug)]
pub struct Away {
    pub start: u64,
    pub end: u64,
    pub cost: u64,
}

/// What all processes did with one key of one policy.
#[derive(Debug, Default)]
pub struct KeyHistory {
    pub charges: Vec<Charge>,
    pub give_backs: Vec<Away>,
    pub resets: Vec<Away>,
    /// Checks that may have been charged or not.
    pub maybe: Vec<Away>,
}

/// What was looked at, and what was wrong.
#[derive(Debug, Default)]
pub struct Findings {
    pub windows: u64,
    /// Those of which not one unit more would have been right.
    pub full: u64,
    pub violations: u64,
    pub described: Vec<String>,
}

impl Findings {
    fn found(&mut self, window: &Window, excess: i128) {
        self.full += u64::from(excess == 0);
        if excess > 0 {
            self.violations += 1;
            if self.described.len() < DESCRIBED {
                self.described.push(window.describe(excess));
            }
        }
    }

    pub fn add(&mut self, other: Findings) {
        self.windows += other.windows;
        self.full += other.full;
        self.violations += other.violations;
        self.described.extend(other.described);
    }
}

impl KeyHistory {
    /// `is_plain`: nothing was asked of this key but checks, one at a time and of one quota, and peeks.
    pub fn check(&mut self, algorithm: Algorithm, is_plain: bool) -> Findings {
        self.charges.retain(|charge| charge.cost > 0);
        self.charges.sort_by_key(|charge| charge.end);
        self.give_backs.sort_by_key(|away| away.start);
        let lengths: BTreeSet<u64> = self.charges.iter().map(|charge| charge.rule.window).collect();
        let mut findings = Findings::default();
        if algorithm == Algorithm::TokenBucket {
            // Of a bucket, intervals of any length are right; these are long enough for it to fill.
            if let Some(longest) = lengths.last() {
                self.sum(algorithm, 2 * longest, &self.charges, &mut findings);
            }
            return findings;
        }
        if is_plain && algorithm == Algorithm::FixedWindow {
            self.follow(&mut findings);
        }
        for length in lengths {
            let counts = |charge: &&Charge| match algorithm {
                Algorithm::SlidingWindow => charge.rule.window >= length,
                // Windows of each length are counted separately.
                _ => charge.rule.window == length,
            };
            let charges: Vec<Charge> = self.charges.iter().filter(counts).copied().collect();
            self.sum(algorithm, length, &charges, &mut findings);
        }
        findings
    }

    /// Sums the fixed windows themselves, one after the other. Each begins with the first charge after the one before.
    fn follow(&self, findings: &mut Findings) {
        let Some(Rule { limit, window: length, .. }) = self.charges.first().map(|charge| charge.rule) else { return };
        let may_run = |from: u64| {
            let charges = self.charges.iter().map(|charge| (charge.start, charge.end));
            let maybe = self.maybe.iter().map(|away| (away.start, away.end));
            charges.chain(maybe).filter(move |(_, end)| *end >= from).map(|(start, _)| start).min()
        };
        let surely_after = |from: u64| self.charges.iter().filter(move |charge| charge.start >= from);
        // A window begins between `low` and `high`, and all charges that begin from `after` on are in it or later.
        let (mut low, mut after) = (may_run(0).unwrap_or(0), 0);
        while let Some(high) = surely_after(after).map(|charge| charge.end).min() {
            let mut window = Window::new(low);
            for charge in surely_after(after).filter(|charge| charge.end < low + length) {
                window.take(charge);
            }
            findings.windows += 1;
            findings.found(&window, i128::from(window.sum) - i128::from(limit));
            after = high + length;
            low = may_run(low + length).unwrap_or(0).max(low + length);
        }
    }

    /// Sums every window up to that length, of these charges by their ends.
    fn sum(&self, algorithm: Algorithm, length: u64, charges: &[Charge], findings: &mut Findings) {
        let anchors: BTreeSet<u64> = charges.iter().map(|charge| charge.start).collect();
        for anchor in anchors {
            let reset = self.resets.iter().filter(|reset| reset.end > anchor).map(|reset| reset.start).min();
            let mut away = self.give_backs.iter().filter(|away| away.end > anchor).peekable();
            let mut window = Window::new(anchor);
            let from = charges.partition_point(|charge| charge.end < anchor);
            let inside = charges[from..].iter().take_while(|charge| charge.end < anchor.saturating_add(length));
            for charge in inside.filter(|charge| charge.start >= anchor) {
                if reset.is_some_and(|reset| reset < charge.end) {
                    break;
                }
                window.take(charge);
                while let Some(away) = away.next_if(|away| away.start < charge.end) {
                    window.taken_off += away.cost;
                }
                findings.windows += 1;
                findings.found(&window, window.excess(algorithm));
            }
        }
    }
}

/// The joined logs of all processes.
#[derive(Debug, Default)]
pub struct History {
    pub keys: BTreeMap<(usize, u64), KeyHistory>,
    /// By policy.
    pub counts: BTreeMap<usize, Counts>,
    pub changes: u64,
    /// Checks answered by a quota that was not in force in their process at any time of the call.
    pub wrong_quotas: Vec<String>,
}

/// A call of which only the begin was read so far.
struct Open {
    at: u64,
    policy: usize,
    user: u64,
    asked: Asked,
}

impl History {
    /// Adds the log of one process.
    pub fn add(&mut self, lines: &[Line]) {
        let mut set: HashMap<usize, Vec<(u64, u64, Rule)>> = HashMap::new();
        for line in lines {
            if let Line::Set { policy, before, after, rule } = *line {
                self.changes += u64::from(after > 0);
                set.entry(policy).or_default().push((before, after, rule));
            }
        }
        let in_force = |policy: usize, rule: Rule, start: u64, end: u64| {
            let set = set.get(&policy).map_or(&[][..], Vec::as_slice);
            let ends = set.iter().skip(1).map(|(_, after, _)| *after).chain([u64::MAX]);
            set.iter().zip(ends).any(|((from, _, one), until)| *one == rule && *from <= end && start <= until)
        };
        let mut open: BTreeMap<u64, Open> = BTreeMap::new();
        // Where the charge of a call is.
        let mut places: HashMap<u64, ((usize, u64), usize)> = HashMap::new();
        let mut killed = 0;
        for line in lines {
            let (id, end, answer) = match *line {
                Line::Begin { id, at, policy, user, asked } => {
                    // From now on it may be given back, whatever becomes of the call.
                    if let Asked::Refund { call, cost } = asked
                        && let Some((key, place)) = places.get(&call)
                        && let Some(charge) = self.keys.get_mut(key).and_then(|key| key.charges.get_mut(*place))
                    {
                        charge.given_back = Some((at, cost));
                    }
                    open.insert(id, Open { at, policy, user, asked });
                    continue;
                }
                Line::Killed { at } => {
                    killed = at;
                    continue;
                }
                Line::Set { .. } => continue,
                Line::End { id, at, answer } => (id, at, answer),
            };
            let Some(Open { at: start, policy, user, asked }) = open.remove(&id) else { continue };
            if let Answer::Allowed(rule) | Answer::Denied(rule) = answer
                && !in_force(policy, rule, start, end)
            {
                self.wrong_quotas.push(format!("policy {policy}, call {id} at {start}: {rule}"));
            }
            self.count(policy, asked, answer);
            let key = self.keys.entry((policy, user)).or_default();
            if let (Asked::Check { cost }, Answer::Allowed(rule)) = (asked, answer) {
                places.insert(id, ((policy, user), key.charges.len()));
                key.charges.push(Charge { start, end, cost, rule, given_back: None });
            }
            match answer {
                Answer::Allowed(_) | Answer::Denied(_) => {}
                Answer::Done => key.unsure(asked, start, end),
                Answer::Degraded | Answer::Failed => key.unsure(asked, start, end + GRACE),
            }
        }
        for Open { at, policy, user, asked } in open.into_values() {
            self.counts.entry(policy).or_default().unanswered += 1;
            self.keys.entry((policy, user)).or_default().unsure(asked, at, killed.max(at) + GRACE);
        }
    }

    fn count(&mut self, policy: usize, asked: Asked, answer: Answer) {
        let counts = self.counts.entry(policy).or_default();
        match asked {
            Asked::Check { .. } => match answer {
                Answer::Allowed(_) => counts.allowed += 1,
                Answer::Denied(_) => counts.denied += 1,
                _ => counts.degraded += 1,
            },
            Asked::Peek => counts.peeks += 1,
            Asked::Reset => counts.resets += 1,
            Asked::GiveBack { .. } => counts.give_backs += 1,
            Asked::Refund { .. } => counts.refunds += 1,
        }
        counts.failed += u64::from(answer == Answer::Failed);
    }
}

impl KeyHistory {
    /// Something ran between these times, or did not.
    fn unsure(&mut self, asked: Asked, start: u64, end: u64) {
        match asked {
            Asked::Check { cost } => self.maybe.push(Away { start, end, cost }),
            Asked::Reset => self.resets.push(Away { start, end, cost: 0 }),
            Asked::GiveBack { cost } => self.give_backs.push(Away { start, end, cost }),
            Asked::Peek | Asked::Refund { .. } => {}
        }
    }
}
