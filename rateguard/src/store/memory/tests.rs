use std::sync::Arc;
use std::time::Duration;

use super::shard::SWEEP_EVERY;
use super::*;
use crate::algorithm::State;
use crate::clock::Clock;

mod full;

const WINDOW: u64 = 60_000_000;

struct Stands(u64);

impl Clock for Stands {
    fn now(&self) -> Duration {
        Duration::from_micros(self.0)
    }
}

fn at(now: u64) -> TimeSource {
    TimeSource::Custom(Arc::new(Stands(now)))
}

/// Spread over shards and tables as hashes are.
fn client(policy: u32, client: u128) -> Fingerprint {
    let hash = (client + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835) ^ u128::from(policy);
    let mix = |hash: u128| (hash ^ (hash >> 61)).wrapping_mul(0xDA94_2042_E4DD_58B5_4528_21E6_38D0_1377);
    Fingerprint { hash: mix(mix(hash)).rotate_left(17), policy: policy * 2 }
}

fn check(number: u128) -> MemoryCheck {
    let fingerprint = client(1, number);
    let quota = Quota::sliding_window(2, Duration::from_micros(WINDOW));
    MemoryCheck { fingerprint, quota, cost: 1, shadow: false }
}

fn allowed(store: &MemoryStore, now: u64, client: u128) -> bool {
    store.check(&at(now), &[check(client)]).iter().all(|verdict| verdict.allowed)
}

#[test]
fn idle_keys_go_with_the_traffic_of_others() {
    let store = MemoryStore::new(1_000_000);
    for client in 0..50_000 {
        let _ = allowed(&store, 0, client);
    }
    assert_eq!(store.len(), 50_000);
    let mut now = WINDOW;
    for turn in 0..100_000 {
        now += SWEEP_EVERY / 50;
        let _ = allowed(&store, now, 100_000 + turn % 500);
    }
    assert!(store.len() < 2_000, "{} left", store.len());
}

#[test]
fn a_refused_request_of_an_unknown_client_takes_no_memory() {
    let store = MemoryStore::new(1000);
    for client in 0..5000 {
        let mut too_much = check(client);
        too_much.cost = 3;
        assert!(!store.check(&at(0), &[too_much])[0].allowed);
    }
    assert_eq!(store.len(), 0);
}

#[test]
fn a_thread_that_read_the_time_and_came_late_does_not_bring_it_back() {
    let mut shard = Shard::new(10);
    let quota = Quota::sliding_window(1, Duration::from_micros(WINDOW));
    let one = MemoryCheck { fingerprint: client(1, 1), quota, cost: 1, shadow: false };
    let on_time = shard.not_before(WINDOW);
    assert!(shard.check(on_time, &one).allowed);
    // Counted as of then, the charge would leave its window too early.
    let late = shard.not_before(10);
    assert!(!shard.check(late, &one).allowed);
    assert!(!shard.check(2 * WINDOW - 1, &one).allowed);
    assert!(shard.check(2 * WINDOW, &one).allowed);
}

#[test]
fn keys_that_the_table_takes_for_one_are_told_apart_however_they_come_and_go() {
    let mut shard = Shard::new(1000);
    let quota = Quota::sliding_window(1, Duration::from_micros(WINDOW));
    // All but the table's half of the fingerprint.
    let fingerprint = |client: u128| Fingerprint { hash: (client << 64) | (client % 3), policy: 2 };
    let one = |client: u128| MemoryCheck { fingerprint: fingerprint(client), quota, cost: 1, shadow: false };
    assert!((0..300).all(|client| shard.check(0, &one(client)).allowed));
    for round in 0..5 {
        let goes = |client: u128| client % 5 == round;
        (0..300).filter(|client| goes(*client)).for_each(|client| shard.forget(&one(client)));
        assert_eq!(shard.len(), 240);
        assert!((0..300).all(|client| shard.check(0, &one(client)).allowed == goes(client)));
    }
    // All of them idle, and given up a few at a time by one that comes by.
    let comes_by = MemoryCheck { quota: Quota::sliding_window(10, quota.window()), ..one(1000) };
    for turn in 0..10 {
        assert!(shard.check(WINDOW + turn * SWEEP_EVERY, &comes_by).allowed);
    }
    assert_eq!(shard.len(), 1);
    assert!((0..300).all(|client| shard.check(2 * WINDOW, &one(client)).allowed));
}

#[test]
fn a_key_without_a_shard_is_denied() {
    let check = check(1);
    let decide: [fn(&MemoryStore, &MemoryCheck) -> Verdict; 3] = [
        |store, check| store.check_one(&at(0), check),
        |store, check| store.check(&at(0), &[*check])[0],
        |store, check| store.peek(&at(0), check),
    ];
    for decide in decide {
        let verdict = std::panic::catch_unwind(|| {
            let store = MemoryStore { shards: Box::default(), ..MemoryStore::new(1) };
            decide(&store, &check)
        });
        // Debug builds say so.
        assert!(verdict.map_or(cfg!(debug_assertions), |verdict| !cfg!(debug_assertions) && !verdict.allowed));
    }
}
