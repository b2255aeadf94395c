//! The checker of `./tests/run --history`, on invented histories: it finds one unit too many, and accepts a full window.

use rateguard::Algorithm;

use super::checker::{Findings, History};
use super::record::{Answer, Asked, Line, Rule};

const SECOND: u64 = 1_000_000;

fn per_second(limit: u64) -> Rule {
    Rule { limit, window: SECOND, burst: limit }
}

/// The log of a process, in milliseconds.
#[derive(Default)]
struct Process {
    lines: Vec<Line>,
    calls: u64,
}

impl Process {
    fn begin(&mut self, at: u64, asked: Asked) -> u64 {
        self.calls += 1;
        self.lines.push(Line::Begin { id: self.calls, at: at * 1000, policy: 0, user: 1, asked });
        self.calls
    }

    fn call(&mut self, from: u64, to: u64, asked: Asked, answer: Answer) -> u64 {
        let id = self.begin(from, asked);
        self.lines.push(Line::End { id, at: to * 1000, answer });
        id
    }

    fn allowed(&mut self, from: u64, to: u64, cost: u64, rule: Rule) -> u64 {
        self.call(from, to, Asked::Check { cost }, Answer::Allowed(rule))
    }

    fn set(&mut self, at: u64, rule: Rule) {
        self.lines.push(Line::Set { policy: 0, before: at * 1000, after: at * 1000, rule });
    }
}

fn history(processes: &[Process]) -> History {
    let mut history = History::default();
    for process in processes {
        // Through the text, as a log is read.
        let text = process.lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let (lines, unreadable) = super::record::read(&text);
        assert_eq!((&lines, unreadable), (&process.lines, 0));
        history.add(&lines);
    }
    history
}

fn findings(algorithm: Algorithm, processes: &[Process]) -> Findings {
    history(processes).keys.get_mut(&(0, 1)).unwrap().check(algorithm, false)
}

fn violations(algorithm: Algorithm, processes: &[Process]) -> u64 {
    findings(algorithm, processes).violations
}

/// Full at 0 ms, and `more` units at `at`.
fn refilled(limit: u64, at: u64, more: u64) -> [Process; 2] {
    let mut processes = [Process::default(), Process::default()];
    processes[0].allowed(0, 0, limit, per_second(limit));
    processes[1].allowed(at, at, more, per_second(limit));
    processes
}

#[test]
fn one_unit_too_many_in_a_sliding_window_is_found_and_a_full_one_is_right() {
    assert_eq!(violations(Algorithm::SlidingWindow, &refilled(5, 999, 1)), 1);
    let full = findings(Algorithm::SlidingWindow, &refilled(5, 1000, 5));
    assert_eq!((full.windows, full.full, full.violations), (2, 2, 0));
}

#[test]
fn calls_that_may_have_run_a_window_apart_are_right() {
    let mut slow = refilled(5, 990, 1);
    slow[1].lines.clear();
    slow[1].allowed(990, 1010, 1, per_second(5));
    assert_eq!(violations(Algorithm::SlidingWindow, &slow), 0);
    // And of several at once, one was the last.
    let mut at_once = [Process::default(), Process::default()];
    for n in 0..6 {
        at_once[n % 2].allowed(10, 20, 1, per_second(5));
    }
    assert!(violations(Algorithm::SlidingWindow, &at_once) > 0);
}

#[test]
fn one_unit_too_many_of_a_bucket_is_found_and_what_came_back_is_right() {
    assert_eq!(violations(Algorithm::TokenBucket, &refilled(5, 199, 1)), 1);
    assert_eq!(violations(Algorithm::TokenBucket, &refilled(5, 200, 1)), 0);
    assert_eq!(violations(Algorithm::TokenBucket, &refilled(5, 1000, 5)), 0);
    assert_eq!(violations(Algorithm::TokenBucket, &refilled(5, 1000, 6)), 2, "too many alone and together");
    let burst = Rule { burst: 10, ..per_second(5) };
    let mut process = Process::default();
    process.allowed(0, 0, 10, burst);
    process.allowed(400, 400, 2, burst);
    process.allowed(599, 599, 1, burst);
    assert_eq!(violations(Algorithm::TokenBucket, &[process]), 1);
}

#[test]
fn counters_allow_twice_their_limit_and_not_one_unit_more() {
    for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingCounter] {
        assert_eq!(violations(algorithm, &refilled(5, 500, 5)), 0);
        assert_eq!(violations(algorithm, &refilled(5, 500, 6)), 1);
    }
}

#[test]
fn fixed_windows_that_are_only_checked_are_followed_one_by_one() {
    let plain = |more: u64, killed: Option<u64>| {
        let mut processes = [Process::default(), Process::default()];
        // The second window begins at 1100 ms, where the first has ended.
        processes[0].allowed(0, 10, 5, per_second(5));
        processes[0].allowed(1100, 1110, 3, per_second(5));
        processes[0].allowed(2050, 2060, more, per_second(5));
        if let Some(at) = killed {
            processes[1].begin(at, Asked::Check { cost: 1 });
            processes[1].lines.push(Line::Killed { at: at * 1000 });
        }
        let mut history = history(&processes);
        let findings = history.keys.get_mut(&(0, 1)).unwrap().check(Algorithm::FixedWindow, true);
        (findings.full, findings.violations)
    };
    assert_eq!(plain(2, None), (2, 0));
    assert_eq!(plain(3, None), (1, 1));
    assert_eq!(plain(3, Some(1050)), (1, 0), "a check without an answer may have begun the window earlier");
    assert_eq!(plain(3, Some(2055)), (1, 1));
}

#[test]
fn after_a_change_the_quota_of_the_last_check_applies() {
    let check = |limits: [u64; 2], more| {
        let mut process = Process::default();
        process.allowed(0, 0, 6, per_second(limits[0]));
        process.allowed(100, 100, more, per_second(limits[1]));
        violations(Algorithm::SlidingWindow, &[process])
    };
    assert_eq!((check([6, 10], 4), check([6, 10], 5)), (0, 1));
    assert_eq!(check([10, 5], 1), 1, "lowered below what is counted");
    // At the same time, either may have been the last.
    let mut both = [Process::default(), Process::default()];
    both[0].allowed(0, 100, 6, per_second(10));
    both[1].allowed(50, 90, 1, per_second(5));
    assert_eq!(violations(Algorithm::SlidingWindow, &both), 0);
}

#[test]
fn what_was_charged_under_a_longer_window_counts_for_all_of_it() {
    let long = Rule { window: 60 * SECOND, ..per_second(5) };
    let mut process = Process::default();
    process.allowed(0, 0, 1, per_second(5));
    process.allowed(1, 1, 4, long);
    process.allowed(2000, 2000, 1, long);
    let mut forgotten = process;
    let right = findings(Algorithm::SlidingWindow, &[Process { lines: forgotten.lines.clone(), calls: 3 }]);
    assert_eq!((right.full, right.violations), (2, 0), "the unit under the short window may be forgotten, no other");
    forgotten.allowed(3000, 3000, 1, long);
    assert_eq!(violations(Algorithm::SlidingWindow, &[forgotten]), 1);
}

#[test]
fn what_was_given_back_counts_until_then_and_as_far_as_it_was() {
    let given = |refunded: Option<u64>, at: u64, more| {
        let mut process = Process::default();
        let call = process.allowed(0, 0, 5, per_second(5));
        if let Some(cost) = refunded {
            process.call(100, 110, Asked::Refund { call, cost }, Answer::Done);
        }
        process.allowed(at, at, more, per_second(5));
        violations(Algorithm::SlidingWindow, &[process])
    };
    assert_eq!(given(Some(3), 200, 3), 0);
    assert_eq!(given(Some(3), 200, 4), 1);
    assert_eq!(given(Some(3), 105, 3), 0, "it may have run by then");
    assert_eq!(given(None, 105, 3), 1);
    // Before it was asked for, nothing was given back.
    let mut process = Process::default();
    let call = process.allowed(0, 0, 5, per_second(5));
    process.allowed(50, 50, 1, per_second(5));
    process.call(100, 110, Asked::Refund { call, cost: 5 }, Answer::Done);
    assert_eq!(violations(Algorithm::SlidingWindow, &[process]), 1);
}

#[test]
fn without_a_receipt_and_without_an_answer_it_is_taken_off_wherever_it_may_have_run() {
    let with = |asked, killed: Option<u64>, at: u64| {
        let mut processes = refilled(5, at, 2);
        match killed {
            Some(killed) => {
                processes[0].begin(100, asked);
                processes[0].lines.push(Line::Killed { at: killed * 1000 });
            }
            None => {
                processes[0].call(100, 110, asked, Answer::Done);
            }
        }
        violations(Algorithm::SlidingWindow, &processes)
    };
    assert_eq!(with(Asked::GiveBack { cost: 2 }, None, 200), 0);
    assert_eq!(with(Asked::GiveBack { cost: 1 }, None, 200), 1);
    assert_eq!(with(Asked::GiveBack { cost: 2 }, None, 50), 1, "not yet asked for");
    assert_eq!(with(Asked::Reset, None, 200), 0);
    assert_eq!(with(Asked::Reset, Some(120), 900), 0);
    assert_eq!(with(Asked::Peek, Some(120), 900), 1);
    // A reset of long ago takes nothing off.
    let mut processes = refilled(5, 30_100, 5);
    processes[0].begin(100, Asked::Reset);
    processes[0].lines.push(Line::Killed { at: 120_000 });
    processes[1].allowed(30_200, 30_200, 1, per_second(5));
    assert_eq!(violations(Algorithm::SlidingWindow, &processes), 1);
}

#[test]
fn a_quota_that_was_not_in_force_is_found() {
    let wrong = |rule, from, to| {
        let mut process = Process::default();
        process.set(0, per_second(5));
        process.set(100, per_second(7));
        process.allowed(from, to, 1, rule);
        history(&[process]).wrong_quotas.len()
    };
    assert_eq!((wrong(per_second(5), 50, 60), wrong(per_second(7), 50, 60), wrong(per_second(7), 50, 100)), (0, 1, 0));
    assert_eq!(
        (wrong(per_second(5), 110, 120), wrong(per_second(5), 90, 120), wrong(per_second(7), 110, 120)),
        (1, 0, 0)
    );
}

#[test]
fn a_line_that_was_cut_is_no_line() {
    let (lines, unreadable) = super::record::read("b 1 2 0 1 check 5\ne 1 30 allo\nk 40\n");
    assert_eq!((lines.len(), unreadable), (2, 1));
}
