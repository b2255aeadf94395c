//! A log of one process: a line before each call and a line after it, written at once, so that what a killed process had
//! begun is known. Times are microseconds of the wall clock, which is also the servers' clock.
//!
//! ```text
//! b ID TIME POLICY USER ASKED    a call begins
//! e ID TIME ANSWER               it has ended
//! s POLICY TIME TIME QUOTA       a quota was set, between these times
//! k TIME                         the process is dead: written by the one that killed it
//! ```

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::str::{FromStr, SplitWhitespace};
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_micros()).expect("a time before the year 586 000")
}

/// The numbers of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub limit: u64,
    /// In microseconds.
    pub window: u64,
    pub burst: u64,
}

impl From<rateguard::Quota> for Rule {
    fn from(quota: rateguard::Quota) -> Rule {
        let window = u64::try_from(quota.window().as_micros()).expect("at most a year");
        Rule { limit: quota.limit().into(), window, burst: quota.capacity().into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Check {
        cost: u64,
    },
    Peek,
    Reset,
    /// Units without a receipt.
    GiveBack {
        cost: u64,
    },
    /// Units of an earlier call of the same process, by its receipt.
    Refund {
        call: u64,
        cost: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A check was allowed and charged by the store.
    Allowed(Rule),
    Denied(Rule),
    /// The store did not answer: counted in the process, or not at all.
    Degraded,
    Done,
    /// A peek, a reset or a give-back ended in an error. It may still have run, or still run.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Begin { id: u64, at: u64, policy: usize, user: u64, asked: Asked },
    End { id: u64, at: u64, answer: Answer },
    Set { policy: usize, before: u64, after: u64, rule: Rule },
    Killed { at: u64 },
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.limit, self.window, self.burst)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Begin { id, at, policy, user, asked } => {
                write!(f, "b {id} {at} {policy} {user} ")?;
                match asked {
                    Asked::Check { cost } => write!(f, "check {cost}"),
                    Asked::Peek => write!(f, "peek"),
                    Asked::Reset => write!(f, "reset"),
                    Asked::GiveBack { cost } => write!(f, "back {cost}"),
                    Asked::Refund { call, cost } => write!(f, "refund {call} {cost}"),
                }
            }
            Line::End { id, at, answer } => {
                write!(f, "e {id} {at} ")?;
                match answer {
                    Answer::Allowed(rule) => write!(f, "allowed {rule}"),
                    Answer::Denied(rule) => write!(f, "denied {rule}"),
                    Answer::Degraded => write!(f, "degraded"),
                    Answer::Done => write!(f, "done"),
                    Answer::Failed => write!(f, "failed"),
                }
            }
            Line::Set { policy, before, after, rule } => write!(f, "s {policy} {before} {after} {rule}"),
            Line::Killed { at } => write!(f, "k {at}"),
        }
    }
}

fn next<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

fn rule(words: &mut SplitWhitespace<'_>) -> Option<Rule> {
    Some(Rule { limit: next(words)?, window: next(words)?, burst: next(words)? })
}

fn asked(words: &mut SplitWhitespace<'_>) -> Option<Asked> {
    Some(match words.next()? {
        "check" => Asked::Check { cost: next(words)? },
        "peek" => Asked::Peek,
        "reset" => Asked::Reset,
        "back" => Asked::GiveBack { cost: next(words)? },
        "refund" => Asked::Refund { call: next(words)?, cost: next(words)? },
        _ => return None,
    })
}

fn answer(words: &mut SplitWhitespace<'_>) -> Option<Answer> {
    Some(match words.next()? {
        "allowed" => Answer::Allowed(rule(words)?),
        "denied" => Answer::Denied(rule(words)?),
        "degraded" => Answer::Degraded,
        "done" => Answer::Done,
        "failed" => Answer::Failed,
        _ => return None,
    })
}

impl Line {
    /// `None` if it is no whole line.
    pub fn read(text: &str) -> Option<Line> {
        let mut words = text.split_whitespace();
        let words = &mut words;
        let line = match words.next()? {
            "b" => {
                let (id, at, policy, user) = (next(words)?, next(words)?, next(words)?, next(words)?);
                Line::Begin { id, at, policy, user, asked: asked(words)? }
            }
            "e" => Line::End { id: next(words)?, at: next(words)?, answer: answer(words)? },
            "s" => {
                let (policy, before, after) = (next(words)?, next(words)?, next(words)?);
                Line::Set { policy, before, after, rule: rule(words)? }
            }
            "k" => Line::Killed { at: next(words)? },
            _ => return None,
        };
        words.next().is_none().then_some(line)
    }
}

/// Where lines are added to a log.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    pub fn open(path: &Path) -> io::Result<Log> {
        File::options().create(true).append(true).open(path).map(Log)
    }

    /// In one write, which a kill does not cut and others' lines do not mix with.
    pub fn write(&self, line: &Line) {
        (&self.0).write_all(format!("{line}\n").as_bytes()).expect("the log takes a line");
    }
}

/// All lines of a log, and how many could not be read.
pub fn read(text: &str) -> (Vec<Line>, usize) {
    let lines: Vec<Line> = text.lines().filter_map(Line::read).collect();
    let unreadable = text.lines().count() - lines.len();
    (lines, unreadable)
}
