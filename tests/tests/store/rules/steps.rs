//! What is asked, drawn at random.

use super::*;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// In thousandths of a window, and microseconds more.
    Wait(u64, u64),
    /// In percent of the limit, at least 1 unit.
    Check(u32),
    CheckOne,
    /// One unit, together with a look at another limit, for which the script for everything is needed.
    CheckOneOfTwo,
    /// One unit together with one of another limit, which may be in shadow mode, until that limit is used up.
    CheckTwo(bool),
    /// So many at once, which share an operation.
    CheckCrowd(usize),
    Peek,
    Refund(u32),
    Reset,
    /// To this limit, and one of a few windows.
    Requota(u32, usize),
    /// To this burst, of buckets.
    Burst(Option<u32>),
    /// One of the charges made so far, and so many percent of it, against its receipt, which is used up.
    GiveBack(usize, u32),
    /// As long as the last denial said.
    WaitForRetry,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..1200, 0_u64..3).prop_map(|(share, micros)| Step::Wait(share, micros)),
        4 => (1_u32..120).prop_map(Step::Check),
        6 => Just(Step::CheckOne),
        2 => Just(Step::CheckOneOfTwo),
        2 => any::<bool>().prop_map(Step::CheckTwo),
        2 => (2_usize..40).prop_map(Step::CheckCrowd),
        1 => Just(Step::Peek),
        1 => (1_u32..60).prop_map(Step::Refund),
        1 => Just(Step::Reset),
        2 => (limits(), 0_usize..8).prop_map(|(limit, window)| Step::Requota(limit, window)),
        1 => proptest::option::of(1_u32..200).prop_map(Step::Burst),
        3 => (0_usize..8, 1_u32..150).prop_map(|(charge, percent)| Step::GiveBack(charge, percent)),
        3 => Just(Step::WaitForRetry),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Of small quotas that change again and again, between the same few windows and bursts, with charges given back at any time.
pub(super) fn changes() -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![Just(0_u64), Just(50), Just(150), Just(500), Just(999), Just(1000), 0_u64..3500];
    let step = prop_oneof![
        4 => (wait, 0_u64..2).prop_map(|(share, micros)| Step::Wait(share, micros)),
        6 => (1_u32..60).prop_map(Step::Check),
        3 => Just(Step::CheckOne),
        1 => (2_usize..6).prop_map(Step::CheckCrowd),
        1 => Just(Step::Peek),
        1 => (1_u32..60).prop_map(Step::Refund),
        1 => Just(Step::Reset),
        4 => (1_u32..9, 0_usize..3).prop_map(|(limit, window)| Step::Requota(limit, window)),
        2 => proptest::option::of(1_u32..9).prop_map(Step::Burst),
        5 => (0_usize..12, Just(100)).prop_map(|(charge, percent)| Step::GiveBack(charge, percent)),
        2 => Just(Step::WaitForRetry),
    ];
    proptest::collection::vec(step, 4..50)
}
