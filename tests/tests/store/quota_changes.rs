//! What happens around changes: of a quota while it counts, of the release that counts, and charges that are given back
//! against their receipts.

use std::time::Duration;

use rateguard::{Check, Decision, Key, ManualClock, Policy, Quota, RateGuard};
use rateguard_tests::{RedisServer, connected};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const START: u64 = 1_800_000_000_000_000;

type Make = fn(u32, Duration) -> Quota;
const WINDOWS: [Make; 3] = [Quota::sliding_window, Quota::sliding_counter, Quota::fixed_window];

/// A limiter whose time the test moves, in memory or in Redis.
struct Timed {
    limiter: RateGuard,
    clock: ManualClock,
    server: Option<RedisServer>,
    now: u64,
}

impl Timed {
    async fn both() -> [Timed; 2] {
        let clock = ManualClock::new();
        let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
        let memory = Timed { limiter, clock, server: None, now: START };
        let (clock, server) = (ManualClock::new(), RedisServer::start_with_clock());
        let limiter = connected(RateGuard::builder().clock(clock.clone()).deny_cache(Duration::ZERO), &server).await;
        let mut both = [memory, Timed { limiter, clock, server: Some(server), now: START }];
        for timed in &mut both {
            timed.pass(Duration::ZERO);
        }
        both
    }

    fn pass(&mut self, time: Duration) {
        self.now += u64::try_from(time.as_micros()).unwrap();
        self.clock.set(Duration::from_micros(self.now));
        if let Some(server) = &self.server {
            server.clock().set(self.now);
        }
    }

    async fn check(&self, policy: &Policy, cost: u32) -> Decision {
        let decision = self.limiter.check_cost(policy, &Key::user("u"), cost).await;
        assert!(!decision.degraded(), "{:?}", decision.degraded_reason());
        decision
    }

    /// How many of so many single requests are allowed.
    async fn allowed(&self, policy: &Policy, requests: u32) -> u32 {
        let mut allowed = 0;
        for _ in 0..requests {
            allowed += u32::from(self.check(policy, 1).await.allowed());
        }
        allowed
    }

    async fn give_back(&self, decision: &Decision) {
        self.limiter.refund_decision(decision).await.unwrap();
    }

    async fn remaining(&self, policy: &Policy) -> u32 {
        self.limiter.peek(policy, &Key::user("u")).await.unwrap().remaining()
    }
}

#[tokio::test]
async fn what_was_charged_under_a_window_made_longer_counts_for_all_of_it() {
    for mut timed in Timed::both().await {
        for (make, limits) in
            [(WINDOWS[0], &[50, 127, 128, 300, 700, 2000][..]), (WINDOWS[1], &[50]), (WINDOWS[2], &[50])]
        {
            for &limit in limits {
                let name = format!("longer-{:?}-{limit}", make(1, HOUR).algorithm());
                let short = Policy::try_new(name.clone(), make(limit, Duration::from_millis(300))).unwrap();
                let long = Policy::try_new(name, make(limit, HOUR)).unwrap();
                assert_eq!(timed.allowed(&short, 1).await, 1);
                // No denial: it would be kept for the longer window as well.
                let mut allowed = timed.allowed(&long, limit - 1).await;
                timed.pass(Duration::from_secs(2));
                allowed += timed.allowed(&long, limit + 5).await;
                assert_eq!(allowed, limit - 1, "{}", long.name());
            }
        }
    }
}

#[tokio::test]
async fn of_two_servers_with_different_windows_neither_weakens_the_other() {
    for mut timed in Timed::both().await {
        for make in WINDOWS {
            let name = format!("mixed-{}", make(1, HOUR).algorithm());
            let strict = Policy::try_new(name.clone(), make(10, HOUR)).unwrap();
            let lax = Policy::try_new(name, make(10, Duration::from_millis(200))).unwrap();
            let (mut by_strict, mut by_lax) = (0, 0);
            for _ in 0..90 {
                by_strict += timed.allowed(&strict, 1).await;
                by_lax += timed.allowed(&lax, 1).await;
                timed.pass(Duration::from_millis(20));
            }
            assert!(by_strict <= 5 && by_strict + by_lax > 60, "{}: {by_strict}, {by_lax}", strict.name());
            timed.pass(Duration::from_secs(1800));
            assert_eq!((timed.allowed(&strict, 1).await, timed.allowed(&lax, 20).await), (0, 10), "{}", strict.name());
            timed.pass(2 * HOUR);
            assert_eq!(timed.allowed(&strict, 20).await, 10);
            timed.pass(2 * HOUR);
        }
        // The bucket that refills slowly is not refilled by the other.
        let strict = Policy::new("mixed-bucket", Quota::token_bucket(10, HOUR));
        let lax = Policy::new("mixed-bucket", Quota::token_bucket(1000, Duration::from_secs(1)));
        assert_eq!(timed.allowed(&strict, 20).await, 10);
        for _ in 0..10 {
            assert_eq!(timed.allowed(&lax, 50).await, 50);
            timed.pass(Duration::from_secs(1));
            assert_eq!(timed.allowed(&strict, 3).await, 0);
        }
        timed.pass(Duration::from_secs(360));
        assert_eq!(timed.allowed(&strict, 3).await, 1);
    }
}

#[tokio::test]
async fn a_refund_under_a_shorter_window_takes_nothing_from_a_longer_one() {
    for mut timed in Timed::both().await {
        for limit in [20, 300, 700] {
            let name = format!("refund-{limit}");
            let long = Policy::try_new(name.clone(), Quota::sliding_window(limit, HOUR)).unwrap();
            let short = Policy::try_new(name, Quota::sliding_window(limit, Duration::from_millis(300))).unwrap();
            assert_eq!(timed.allowed(&long, limit).await, limit);
            timed.pass(Duration::from_secs(3));
            timed.limiter.refund(&short, &Key::user("u"), 1).await.unwrap();
            timed.pass(Duration::from_secs(10));
            assert_eq!(timed.allowed(&long, 5).await, 0, "nothing of what counts in the short window was there");
        }
    }
}

#[tokio::test]
async fn what_a_short_window_has_allowed_weighs_on_a_long_one_however_much_it_is() {
    for mut timed in Timed::both().await {
        let lax = Policy::new("much", Quota::sliding_counter(u32::MAX, Duration::from_millis(1)));
        let strict = Policy::new("much", Quota::sliding_counter(10, 24 * HOUR));
        assert_eq!(timed.allowed(&strict, 1).await, 1);
        // With that unit 2^35 and one.
        for cost in [u32::MAX - 1; 8].into_iter().chain([16]) {
            assert!(timed.check(&lax, cost).await.allowed());
            timed.pass(Duration::from_millis(3));
        }
        // They are those of the window before.
        timed.pass(25 * HOUR);
        assert_eq!(timed.allowed(&strict, 5).await, 0);
    }
}

#[tokio::test]
async fn a_change_of_rate_converts_what_a_bucket_has_left() {
    for mut timed in Timed::both().await {
        let fast = Policy::new("lowered", Quota::token_bucket(10, Duration::from_secs(1)));
        let slow = Policy::new("lowered", Quota::token_bucket(10, HOUR));
        assert_eq!(timed.allowed(&fast, 20).await, 10);
        assert_eq!(timed.allowed(&slow, 20).await, 0);
        // Having denied, it goes by the new rate.
        timed.pass(Duration::from_secs(359));
        assert_eq!(timed.allowed(&slow, 20).await, 0);
        timed.pass(Duration::from_secs(1));
        assert_eq!(timed.allowed(&slow, 20).await, 1);

        let few = Policy::new("raised", Quota::token_bucket(10, MINUTE));
        let many = Policy::new("raised", Quota::token_bucket(1000, MINUTE));
        assert_eq!(timed.allowed(&few, 20).await, 10);
        assert_eq!(timed.allowed(&many, 20).await, 20);
        assert_eq!(timed.remaining(&many).await, 970);
    }
}

#[tokio::test]
async fn a_give_back_is_of_the_very_units_that_were_charged() {
    for mut timed in Timed::both().await {
        // An estimate of 4000, of which 3000 come back after five seconds.
        let tokens = Policy::new("tokens", Quota::sliding_window(20_000, MINUTE));
        let mut served = 0;
        let mut pending: Vec<(u64, Decision)> = Vec::new();
        for second in 0..60_u64 {
            for (_, decision) in pending.extract_if(.., |(due, _)| *due <= second) {
                timed.give_back(&decision).await;
            }
            let decision = timed.check(&tokens, 4000).await;
            if decision.allowed() {
                served += 1;
                pending.push((second + 5, decision));
            }
            timed.pass(Duration::from_secs(1));
        }
        assert!(served >= 14, "{served} requests a minute");

        let day = Duration::from_secs(86_400);
        let month = Policy::new("month", Quota::sliding_window(10, 30 * day));
        assert_eq!(timed.allowed(&month, 9).await, 9);
        timed.pass(28 * day);
        for _ in 0..9 {
            let decision = timed.check(&month, 1).await;
            timed.give_back(&decision).await;
        }
        timed.pass(2 * day);
        assert_eq!(timed.remaining(&month).await, 10, "what was used on the first day has left");
    }
}

#[tokio::test]
async fn a_receipt_of_units_that_no_longer_count_gives_nothing_back_after_the_window_was_made_longer() {
    for mut timed in Timed::both().await {
        for make in [Quota::sliding_window as Make, Quota::sliding_counter] {
            let name = format!("stale-{}", make(1, HOUR).algorithm());
            let short = Policy::try_new(name.clone(), make(4, MINUTE)).unwrap();
            let long = Policy::try_new(name, make(4, HOUR)).unwrap();
            let stale = timed.check(&short, 4).await;
            timed.pass(3 * MINUTE);
            assert_eq!(timed.allowed(&short, 2).await, 2);
            timed.pass(Duration::from_micros(59_999_999));
            assert_eq!(timed.allowed(&short, 2).await, 2);
            timed.pass(Duration::from_micros(1));
            // A denial keeps what is counted under the longer window.
            assert!(timed.check(&long, 4).await.retry_after().is_some());
            let before = timed.remaining(&long).await;
            timed.give_back(&stale).await;
            assert_eq!(timed.remaining(&long).await, before, "{}", long.name());
            timed.pass(3 * HOUR);
        }
    }
}

#[tokio::test]
async fn a_sliding_counter_made_longer_counts_its_units_until_they_are_as_old_as_the_new_window() {
    for mut timed in Timed::both().await {
        let short = Policy::new("in-full", Quota::sliding_counter(4, MINUTE));
        let long = Policy::new("in-full", Quota::sliding_counter(4, HOUR));
        let first = timed.check(&short, 3).await;
        timed.pass(MINUTE);
        let second = timed.check(&short, 1).await;
        assert!(first.allowed() && second.allowed());
        assert!(!timed.check(&long, 1).await.allowed());
        timed.pass(Duration::from_micros(59 * 60_000_000 - 1));
        assert_eq!(timed.remaining(&long).await, 0, "all four are younger than an hour");
        timed.give_back(&second).await;
        assert_eq!(timed.remaining(&long).await, 1);
        timed.give_back(&first).await;
        assert_eq!(timed.remaining(&long).await, 4);
    }
}

#[tokio::test]
async fn a_burst_that_is_lowered_and_raised_again_gives_no_tokens_back() {
    for mut timed in Timed::both().await {
        let of = |burst| Policy::new("bursts", Quota::token_bucket(60, MINUTE).burst(burst));
        let (large, small, larger) = (of(100), of(10), of(200));
        assert_eq!(timed.allowed(&large, 101).await, 100);
        assert_eq!(timed.allowed(&small, 5).await, 0);
        assert_eq!(timed.allowed(&large, 5).await, 0);
        timed.pass(Duration::from_secs(7));
        assert_eq!(timed.allowed(&small, 20).await, 7);
        assert_eq!(timed.allowed(&large, 20).await, 0, "what one bucket gives is taken from all");
        timed.pass(Duration::from_secs(3));
        assert_eq!(timed.allowed(&large, 20).await, 3);
        assert_eq!(timed.remaining(&larger).await, 100, "as many are missing as from the emptiest bucket");
        timed.pass(Duration::from_secs(100));
        assert_eq!((timed.remaining(&large).await, timed.remaining(&small).await), (100, 10));
    }
}

#[tokio::test]
async fn a_give_back_reaches_the_buckets_of_all_bursts() {
    for timed in Timed::both().await {
        let of = |burst| Policy::new("bursts", Quota::token_bucket(60, MINUTE).burst(burst));
        let (large, small) = (of(100), of(10));
        assert!(timed.check(&large, 95).await.allowed());
        assert!(!timed.check(&small, 1).await.allowed());
        let last = timed.check(&large, 3).await;
        timed.give_back(&last).await;
        assert_eq!((timed.remaining(&large).await, timed.remaining(&small).await), (5, 3));
    }
}

#[tokio::test]
async fn a_reset_voids_receipts() {
    for mut timed in Timed::both().await {
        let quotas = [
            Quota::sliding_window(3, HOUR),
            Quota::sliding_window(3000, HOUR),
            Quota::sliding_counter(3, HOUR),
            Quota::fixed_window(3, HOUR),
            Quota::token_bucket(3, HOUR),
        ];
        for quota in quotas {
            let policy = Policy::try_new(format!("reset-{}-{}", quota.algorithm(), quota.limit()), quota).unwrap();
            let mut old = Vec::new();
            for _ in 0..3 {
                old.push(timed.check(&policy, quota.limit() / 3).await);
            }
            timed.limiter.reset(&policy, &Key::user("u")).await.unwrap();
            if timed.server.is_some() {
                // The clock of a real server never stands.
                timed.pass(Duration::from_micros(1));
            }
            for _ in 0..3 {
                assert!(timed.check(&policy, quota.limit() / 3).await.allowed());
            }
            for decision in &old {
                assert!(decision.allowed());
                timed.give_back(decision).await;
            }
            assert_eq!(timed.allowed(&policy, 3).await, 0, "{quota:?}");
        }
    }
}

#[tokio::test]
async fn a_cost_of_nothing_is_allowed_also_where_a_lowered_limit_is_exceeded() {
    for timed in Timed::both().await {
        for make in [WINDOWS[0], WINDOWS[1], WINDOWS[2], Quota::token_bucket as Make] {
            let name = format!("nothing-{}", make(1, HOUR).algorithm());
            let high = Policy::try_new(name.clone(), make(100, HOUR)).unwrap();
            let low = Policy::try_new(name, make(10, HOUR)).unwrap();
            let other = Policy::new("other", Quota::sliding_window(1000, HOUR));
            assert!(timed.check(&high, 80).await.allowed());
            assert!(timed.check(&low, 0).await.allowed(), "{}", low.name());
            let key = Key::user("u");
            let all = [Check::new(&low, &key).cost(0), Check::new(&other, &key)];
            assert!(timed.limiter.check_all(&all).await.iter().all(Decision::allowed), "{}", low.name());
            assert!(!timed.check(&low, 1).await.allowed());
        }
    }
}

#[tokio::test]
async fn a_bucket_is_told_by_what_it_holds() {
    let limiter = RateGuard::memory();
    let policy = Policy::new("burst", Quota::token_bucket(600, MINUTE).burst(100));
    let first = limiter.check(&policy, &Key::global()).await;
    assert_eq!((first.limit(), first.remaining()), (100, 99));
}

#[tokio::test]
async fn a_clock_at_its_end_stops_nothing() {
    for make in [WINDOWS[0], WINDOWS[1], WINDOWS[2], Quota::token_bucket as Make] {
        let clock = ManualClock::new();
        clock.set(Duration::from_micros(u64::MAX));
        let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
        let policy = Policy::new("late", make(2, Quota::MAX_WINDOW));
        let key = Key::global();
        for allowed in [true, true, false] {
            assert_eq!(limiter.check(&policy, &key).await.allowed(), allowed);
        }
        limiter.refund(&policy, &key, 1).await.unwrap();
        assert!(limiter.check(&policy, &key).await.allowed());
        clock.set(Duration::ZERO);
        assert!(!limiter.check(&policy, &key).await.allowed());
    }
}

/// One call of a script of the release before logs, for one unit of one limit. What it says first: whether it is allowed,
/// or an error.
fn before(connection: &mut redis::Connection, tag: &str, kind: &str, limit: u32) -> redis::RedisResult<i64> {
    let [check, whole] =
        [include_str!("../../fixtures/before_logs/check.lua"), include_str!("../../fixtures/before_logs/whole.lua")];
    let key = format!("ratelimit:{{user:u}}:side:{tag}");
    let call = |script: &str, plan: &str| {
        let mut eval = redis::cmd("EVAL");
        eval.arg(script).arg(1).arg(&key).arg(plan);
        eval
    };
    let mut quota = vec![kind.to_owned(), limit.to_string(), "60000000".to_owned()];
    if kind == "b" {
        quota.extend([(60_000_000 / limit).to_string(), "0".to_owned(), "60000000".to_owned(), "0".to_owned()]);
    }
    let answer: Vec<redis::Value> = call(check, "0").arg(&quota).query(connection)?;
    if let Some(redis::Value::Int(-1)) = answer.get(1) {
        let mut eval = call(whole, "1");
        eval.arg(&quota).arg("check").arg(1).arg(1).arg(1);
        if kind == "b" {
            eval.arg(60_000_000 / limit).arg(0);
        }
        let answer: Vec<redis::Value> = eval.query(connection)?;
        return redis::from_redis_value(answer.get(1).cloned().unwrap()).map_err(Into::into);
    }
    redis::from_redis_value(answer.get(1).cloned().unwrap()).map_err(Into::into)
}

#[tokio::test]
async fn the_release_before_and_this_one_count_side_by_side_and_neither_fails_nor_opens() {
    let server = RedisServer::start();
    let limiter = connected(RateGuard::builder().deny_cache(Duration::ZERO), &server).await;
    let mut connection = server.connection();
    let make: [(&str, &str, Make, &[u32]); 4] = [
        ("sw", "zpl", Quota::sliding_window, &[20, 300, 700]),
        ("sc", "ccc", Quota::sliding_counter, &[20]),
        ("fw", "fff", Quota::fixed_window, &[20]),
        ("tb", "bbb", Quota::token_bucket, &[20]),
    ];
    for (tag, kinds, make, limits) in make {
        for (kind, &limit) in kinds.chars().zip(limits) {
            let policy = Policy::new("side", make(limit, MINUTE));
            let (mut old, mut new) = (0, 0);
            for _ in 0..limit + 10 {
                old += before(&mut connection, tag, &kind.to_string(), limit).unwrap();
                let decision = limiter.check(&policy, &Key::user("u")).await;
                assert!(!decision.degraded(), "{tag}: {:?}", decision.degraded_reason());
                new += u32::from(decision.allowed());
            }
            // A bucket gets a token back now and then.
            let most = limit + u32::from(tag == "tb") * 3;
            assert!(
                u32::try_from(old).unwrap() >= limit && u32::try_from(old).unwrap() <= most,
                "{tag} {limit}: {old}"
            );
            assert!((limit..=most).contains(&new), "{tag} {limit}: {new}");
            for key in server.keys() {
                let _: i64 = server.command(&["DEL", &key]);
            }
        }
    }
}
