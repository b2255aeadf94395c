//! A store that is full: nobody gets more than the rule allows, and few get less.

use super::*;
use crate::quota::Algorithm;
use crate::store::memory::shard::Shard;

/// The same numbers on every run (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }
}

const MS: u64 = 1000;

fn quotas() -> [Quota; 6] {
    let ms = Duration::from_millis;
    [
        Quota::sliding_window(5, ms(100)),
        Quota::fixed_window(5, ms(100)),
        Quota::sliding_counter(6, ms(100)),
        Quota::token_bucket(7, ms(100)).burst(4),
        Quota::sliding_window(1, ms(20)),
        Quota::fixed_window(300, ms(900)),
    ]
}

/// What the rules alone say of each client, without any bound on their number: the oracle.
struct Exact(Vec<Vec<State>>);

impl Exact {
    fn new(clients: usize) -> Exact {
        let fresh = |quota: &Quota| (0..clients).map(|_| State::new(quota.algorithm())).collect();
        Exact(quotas().iter().map(fresh).collect())
    }

    /// Before the clock steps back: what has run out is gone if the store has given it up. What the store still holds
    /// counts again, there and here.
    fn forget_what_is_gone(&mut self, now: u64, shard: &mut Shard) {
        for (policy, (states, quota)) in (0_u32..).zip(self.0.iter_mut().zip(quotas())) {
            for (number, state) in (0_u128..).zip(states) {
                if state.idle_from() <= now && !shard.holds(client(policy + 1, number)) {
                    *state = State::new(quota.algorithm());
                }
            }
        }
    }
}

/// Random checks of all algorithms, alone and in groups, with give-backs and resets, against a shard with this many slots.
/// Returns how many of them were allowed, and how many denied that the rule would have allowed.
fn random_checks(seed: u64, slots: usize, clients: u64, step: u64, steps_back: bool) -> (u32, u32) {
    let mut numbers = Numbers(seed * 0x9E37_79B9 + 1);
    let mut shard = Shard::new(slots);
    let mut exact = Exact::new(usize::try_from(clients).unwrap());
    let (mut allowed, mut wrongly) = (0, 0);
    let mut now = 10_000 * MS;
    for turn in 0..6000 {
        now += numbers.below(step);
        if steps_back && numbers.below(300) == 0 {
            exact.forget_what_is_gone(now, &mut shard);
            now -= numbers.below(400 * MS);
        }
        let group: Vec<(usize, usize, MemoryCheck)> = (0..=numbers.below(2))
            .map(|_| {
                let policy = usize::try_from(numbers.below(6)).unwrap();
                // A few come often.
                let number = if numbers.below(3) == 0 { numbers.below(8) } else { numbers.below(clients) };
                let cost = u32::try_from(numbers.below(3) + 1).unwrap();
                let fingerprint = client(u32::try_from(policy).unwrap() + 1, u128::from(number));
                let check = MemoryCheck { fingerprint, quota: quotas()[policy], cost, shadow: false };
                (policy, usize::try_from(number).unwrap(), check)
            })
            .collect();
        if let [first, second] = &group[..]
            && first.2.fingerprint == second.2.fingerprint
        {
            continue;
        }
        match numbers.below(40) {
            0 => {
                let (policy, number, check) = group[0];
                shard.forget(&check);
                exact.0[policy][number] = State::new(check.quota.algorithm());
            }
            1 | 2 => {
                let (policy, number, check) = group[0];
                shard.refund(now, &check, None);
                exact.0[policy][number].refund(now, &check.quota, check.cost, None);
            }
            _ => {
                let assessed: Vec<Assessment> = group.iter().map(|(.., check)| shard.assess(now, check)).collect();
                let rule: Vec<Assessment> = group
                    .iter()
                    .map(|(policy, number, check)| exact.0[*policy][*number].assess(now, &check.quota, check.cost))
                    .collect();
                for ((.., check), (store, rule)) in group.iter().zip(assessed.iter().zip(&rule)) {
                    assert!(
                        rule.allowed || !store.allowed,
                        "seed {seed}, turn {turn}: {check:?} is allowed against the rule: {store:?}, {rule:?}"
                    );
                    assert!(
                        store.available <= rule.available,
                        "seed {seed}, turn {turn}: {check:?} {store:?} {rule:?}"
                    );
                    wrongly += u32::from(rule.allowed && !store.allowed);
                    let longest = u64::from(check.quota.algorithm() == Algorithm::SlidingCounter) + 1;
                    let retry = store.retry_after.unwrap_or(0);
                    assert!(retry <= longest * check.quota.window_micros(), "seed {seed}, turn {turn}: {retry}");
                }
                if assessed.iter().all(|assessment| assessment.allowed) {
                    allowed += 1;
                    for (policy, number, check) in &group {
                        shard.charge(now, check);
                        exact.0[*policy][*number].charge(now, &check.quota, check.cost);
                    }
                }
            }
        }
        assert!(shard.len() <= slots);
    }
    (allowed, wrongly)
}

#[test]
fn never_more_than_the_rule_allows_however_full_the_store_and_however_clients_move() {
    // From a few clients too many to many more than there are places of any sort.
    for (slots, clients) in [(1, 10), (1, 60), (4, 20), (4, 200), (16, 60), (16, 1000)] {
        for seed in 0..6 {
            for step in [MS / 10, MS, 8 * MS] {
                let (allowed, _) = random_checks(seed, slots, clients, step, false);
                assert!(allowed > 0);
            }
        }
    }
}

#[test]
fn never_more_than_the_rule_allows_when_the_clock_steps_back() {
    for (slots, clients) in [(1, 10), (4, 20), (4, 200), (16, 1000)] {
        for seed in 100..106 {
            for step in [MS, 8 * MS] {
                random_checks(seed, slots, clients, step, true);
            }
        }
    }
}

#[test]
fn a_shard_with_room_for_all_denies_nobody_whom_the_rule_allows() {
    for seed in 0..4 {
        let (_, wrongly) = random_checks(seed, 10_000, 500, MS, false);
        assert_eq!(wrongly, 0);
    }
}

/// Clients that spend all they have, then one request of each newcomer: how many in a thousand newcomers are denied.
fn wrongly_denied(max_keys: u128, live: u128, quota: Quota) -> u128 {
    let store = MemoryStore::new(usize::try_from(max_keys).unwrap());
    let check = |number: u128, cost| MemoryCheck { fingerprint: client(1, number), quota, cost, shadow: false };
    let spend = quota.capacity();
    let newcomers = 5000;
    let denied = |number: u128| u128::from(!store.check_one(&at(1), &check(number, 1)).allowed);
    for number in 0..live - newcomers {
        let _ = store.check_one(&at(0), &check(number, spend));
    }
    let wrongly: u128 = (live..live + newcomers).map(denied).sum();
    let still: u128 = (0..live - newcomers).map(denied).sum();
    assert_eq!(still, live - newcomers, "who has spent all stays denied");
    wrongly * 1000 / newcomers
}

#[test]
fn up_to_four_times_the_keys_newcomers_are_not_denied_and_beyond_that_more_are() {
    let five = Duration::from_secs(60);
    for quota in [Quota::sliding_window(5, five), Quota::token_bucket(5, five), Quota::fixed_window(1, five)] {
        let at = |times: u128| wrongly_denied(20_000, 20_000 * times, quota);
        let denied = [1, 2, 4, 6, 8].map(at);
        println!("{quota}: of 1000 newcomers denied at 1, 2, 4, 6, 8 times the keys: {denied:?}");
        assert!(denied[..3].iter().all(|&denied| denied <= 10), "{denied:?}");
        assert!(denied[4] < 1000, "not all of them, even then: {denied:?}");
    }
}

#[test]
fn clients_that_do_not_spend_their_quota_may_be_many_more() {
    let store = MemoryStore::new(640);
    let quota = Quota::sliding_window(5, Duration::from_micros(WINDOW));
    let check = |number: u128| MemoryCheck { fingerprint: client(1, number), quota, cost: 1, shadow: false };
    let denied = (0..640 * 10).filter(|&number| !store.check_one(&at(0), &check(number)).allowed).count();
    assert_eq!(denied, 0, "one request of five from each");
}

#[test]
fn a_full_store_keeps_its_cap_and_lets_nobody_go() {
    let store = MemoryStore::new(640);
    for blocked in 0..100 {
        assert!(allowed(&store, 0, blocked) && allowed(&store, 0, blocked) && !allowed(&store, 0, blocked));
    }
    for newcomer in 1000..200_000 {
        let _ = allowed(&store, 1000, newcomer);
    }
    assert!(store.len() <= 640);
    for blocked in 0..100 {
        assert!(!allowed(&store, 2000, blocked), "nobody gets a fresh quota by flooding the store");
    }
    for newcomer in 1000..100_000 {
        let _ = allowed(&store, WINDOW + 1000, newcomer);
    }
    for newcomer in 300_000..302_000 {
        assert!(allowed(&store, 3 * WINDOW, newcomer), "what ran out does not count any more");
    }
}

#[test]
fn the_sketch_is_made_when_the_store_is_full_and_goes_when_it_counts_nothing() {
    let mut shard = Shard::new(10);
    let newcomers = |shard: &mut Shard, now: u64, numbers: std::ops::Range<u128>| {
        numbers.filter(|&number| shard.check(now, &check(number)).allowed).count()
    };
    assert_eq!(newcomers(&mut shard, 0, 0..10), 10);
    assert!(!shard.has_sketch());
    assert_eq!(newcomers(&mut shard, 0, 10..30), 20);
    assert!(shard.has_sketch());
    assert_eq!(newcomers(&mut shard, WINDOW, 100..101), 1);
    assert!(!shard.has_sketch());
}

#[test]
fn a_client_moves_to_a_slot_with_what_the_sketch_counted() {
    for quota in quotas().into_iter().filter(|quota| quota.limit() > 1) {
        let mut shard = Shard::new(1);
        let window = quota.window_micros();
        let of = |number, cost| MemoryCheck { fingerprint: client(1, number), quota, cost, shadow: false };
        let half = quota.capacity() / 2;
        let start = 10 * window;
        assert!(shard.check(start, &of(1, 1)).allowed);
        assert!(shard.check(start + window / 2, &of(2, half)).allowed, "counted in the sketch");
        shard.forget(&of(1, 1));
        let later = shard.check(start + window / 2 + 1, &of(2, 1));
        assert_eq!((later.allowed, later.remaining), (true, quota.capacity() - half - 1), "{quota}");
        assert_eq!(shard.len(), 1);
        assert!(!shard.check(start + window / 2 + 2, &of(2, quota.capacity() - half)).allowed, "{quota}");
    }
}

#[test]
fn no_policy_loses_its_share_of_the_slots_to_the_flood_of_another() {
    let mut shard = Shard::new(100);
    let long = Quota::sliding_window(3, Duration::from_secs(86_400));
    let short = Quota::sliding_window(3, Duration::from_secs(1));
    let of =
        |policy: u32, quota, number| MemoryCheck { fingerprint: client(policy, number), quota, cost: 1, shadow: false };
    for number in 0..10 {
        assert!(shard.check(0, &of(1, short, number)).allowed);
    }
    for number in 0..300 {
        let _ = shard.check(1, &of(2, long, number));
    }
    assert_eq!((shard.slots_of(2), shard.slots_of(4)), (10, 90), "a policy below its share keeps its slots");
    for number in 10..200 {
        let _ = shard.check(2, &of(1, short, number));
    }
    assert_eq!((shard.slots_of(2), shard.slots_of(4)), (50, 50), "and takes more, up to its share");
    for number in 0..300 {
        let taken = shard.peek(3, &of(2, long, number)).available;
        assert!(taken <= 2, "who gave up a slot is still counted");
    }
    assert!(shard.check(4, &of(3, short, 0)).allowed);
    assert_eq!(shard.slots_of(6), 1, "the only key of a policy has a slot at once");
}

#[test]
fn a_client_in_the_sketch_gets_back_what_it_gives_back() {
    for quota in quotas().into_iter().filter(|quota| quota.limit() > 1) {
        let mut shard = Shard::new(1);
        let of = |number, cost| MemoryCheck { fingerprint: client(1, number), quota, cost, shadow: false };
        assert!(shard.check(1000, &of(1, 1)).allowed);
        assert!(shard.check(1000, &of(2, quota.capacity())).allowed);
        assert!(!shard.check(1000, &of(2, 1)).allowed);
        shard.refund(1000, &of(2, 1), None);
        assert!(shard.check(1000, &of(2, 1)).allowed, "{quota}");
        assert!(!shard.check(1000, &of(2, 1)).allowed, "{quota}");
        shard.forget(&of(2, 1));
        assert!(shard.check(1000, &of(2, quota.capacity())).allowed, "{quota}");
        assert_eq!(shard.len(), 1);
    }
}
