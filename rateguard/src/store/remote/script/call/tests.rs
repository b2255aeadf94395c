//! How calls are written, and replies read.

use super::*;
use crate::quota::Quota;
use std::time::Duration;

#[derive(Default)]
struct Words(Vec<String>);

impl Arguments for Words {
    const CAN_BE_PACKED: bool = false;

    fn text(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }

    fn number(&mut self, number: u64) {
        self.0.push(number.to_string());
    }
}

fn check(key: &str) -> RemoteCheck {
    let quota = Quota::sliding_window(3, Duration::from_secs(60));
    RemoteCheck { key: key.to_owned(), ..RemoteCheck::new(String::new(), quota, 1) }
}

fn group(keys: &[&str]) -> Group {
    Group::new(Op::Check, keys.iter().map(|key| check(key)).collect())
}

#[test]
fn checks_of_one_limit_share_an_operation_and_are_answered_as_if_one_came_after_the_other() {
    let groups = ["a", "b", "a", "a"].map(|key| group(&[key]));
    let groups: Vec<&Group> = groups.iter().collect();
    let call = Call::new(&groups);
    let mut words = Words::default();
    call.write(&mut words);
    assert_eq!(words.0, ["2", "a", "b", "+300", "z", "3", "60000000"]);

    // Two units of `a` are left, and none of `b`.
    let numbers = [1000, 2, 2, 70, -1, 0, 0, 50, 50];
    let answers = call.read(numbers.map(Part::Number)).unwrap();
    let told: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap().unwrap()[0])
        .map(|verdict| (verdict.allowed, verdict.remaining, verdict.reset_after, verdict.retry_after))
        .collect();
    assert_eq!(told, [(true, 1, 70, None), (false, 0, 50, Some(50)), (true, 0, 70, None), (false, 0, 70, Some(70))]);
}

#[cfg(feature = "redis")]
#[test]
fn keys_of_several_slots_are_not_declared_and_a_key_that_the_node_does_not_have_is_handed_over() {
    let groups = [group(&["a"]), group(&["b", "c"])];
    let groups: Vec<&Group> = groups.iter().collect();
    let call = Call::undeclared(&groups).unwrap();
    let mut words = Words::default();
    call.write(&mut words);
    assert_eq!(words.0, ["0", "0&200", "3", "a", "b", "c", "z", "3", "60000000"]);
    let answers = call.read([1000, -1, 1, 3, 0, -1, 1, 3, 0, -1].map(Part::Number)).unwrap();
    assert!(answers[0].is_none() && answers[1].as_ref().unwrap().is_ok());

    let costly = Group::new(Op::Check, [RemoteCheck { cost: 2, ..check("a") }].into_iter().collect());
    assert!(Call::undeclared(&[groups[0], &costly]).is_none(), "only `check.lua` can");
}

#[test]
fn groups_of_several_limits_share_no_operation_and_other_operations_go_to_the_other_script() {
    let groups = [group(&["a", "b"]), group(&["a", "b"]), group(&["a"])];
    let groups: Vec<&Group> = groups.iter().collect();
    let mut words = Words::default();
    Call::new(&groups).write(&mut words);
    assert_eq!(words.0, ["5", "a", "b", "a", "b", "a", "&200&2000", "z", "3", "60000000"]);

    let peek = Group::new(Op::Peek, [check("a")].into_iter().collect());
    let costly = Group::new(Op::Check, [RemoteCheck { cost: 2, ..check("a") }].into_iter().collect());
    for other in [peek, costly] {
        assert_eq!(Call::new(&[&other]).script(), Script::Whole);
    }
}

#[test]
fn a_group_that_is_handed_over_has_no_answer_and_an_error_belongs_to_its_own_limit() {
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
fn a_reply_that_is_not_the_scripts_is_an_error_and_never_a_panic() {
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
