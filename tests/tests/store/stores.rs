//! What every store does, asked of each of them: the same list of behaviours for memory, for Redis, and for Redis by Upstash's
//! protocol.

use std::time::{Duration, Instant};

use rateguard::{Check, Key, Policy, Quota, RateGuard};
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_secs(60);

fn policy(name: &'static str, limit: u32, window: Duration) -> Policy {
    Policy::new(name, Quota::sliding_window(limit, window))
}

async fn the_limit_is_allowed_and_the_next_is_denied(limiter: RateGuard) {
    let five = policy("five", 5, MINUTE);
    let key = Key::ip([203, 0, 113, 7]);
    for remaining in [4, 3, 2, 1, 0] {
        let decision = limiter.check(&five, &key).await;
        assert!(decision.allowed() && !decision.degraded());
        assert_eq!((decision.limit(), decision.remaining()), (5, remaining));
        assert!(decision.retry_after().is_none());
        assert!(decision.reset_after() > Duration::ZERO && decision.reset_after() <= MINUTE);
        assert_eq!(decision.policy(), "five");
    }
    let sixth = limiter.check(&five, &key).await;
    assert!(!sixth.allowed() && sixth.remaining() == 0);
    assert_eq!(sixth.retry_after(), Some(sixth.reset_after()));
}

async fn waiting_as_long_as_the_denial_says_is_enough(limiter: RateGuard) {
    let short = policy("short", 2, Duration::from_secs(1));
    let key = Key::user("patient");
    let mut denials = 0;
    for _ in 0..6 {
        let decision = limiter.check(&short, &key).await;
        if let Some(wait) = decision.retry_after() {
            assert!(wait <= Duration::from_secs(1));
            tokio::time::sleep(wait).await;
            assert!(limiter.check(&short, &key).await.allowed());
            denials += 1;
        }
    }
    assert!(denials > 0);
}

async fn a_denied_request_is_not_charged(limiter: RateGuard) {
    let short = policy("not-charged", 2, Duration::from_millis(300));
    let key = Key::user("eager");
    let first = limiter.check_cost(&short, &key, 2).await;
    assert!(first.allowed());
    let mut waits = Vec::new();
    loop {
        let decision = limiter.check(&short, &key).await;
        match decision.retry_after() {
            Some(wait) => waits.push(wait),
            None => break,
        }
    }
    // Had a denial counted, the wait would have grown again.
    assert!(waits.windows(2).all(|pair| pair[1] <= pair[0]), "{waits:?}");
}

async fn clients_and_policies_do_not_share(limiter: RateGuard) {
    let (one, other) = (policy("one", 1, MINUTE), policy("other", 1, MINUTE));
    let keys = [Key::ip([10, 0, 0, 1]), Key::ip([10, 0, 0, 2]), Key::user("10.0.0.1"), Key::global()];
    for key in &keys {
        assert!(limiter.check(&one, key).await.allowed());
        assert!(limiter.check(&other, key).await.allowed());
    }
    for key in &keys {
        assert!(!limiter.check(&one, key).await.allowed());
    }
}

async fn one_client_is_one_client_however_its_address_is_written(limiter: RateGuard) {
    let one = policy("spellings", 1, MINUTE);
    let spellings = |texts: &[&str]| {
        texts.iter().map(|text| Key::ip(text.parse::<std::net::IpAddr>().unwrap())).collect::<Vec<_>>()
    };
    for same in [
        spellings(&["203.0.113.9", "::ffff:203.0.113.9", "::ffff:cb00:7109"]),
        spellings(&["2001:db8::1", "2001:db8:0:0:ffff::", "2001:db8:0:0:1:2:3:4"]),
    ] {
        assert!(limiter.check(&one, &same[0]).await.allowed());
        for key in &same {
            assert!(!limiter.check(&one, key).await.allowed(), "{key:?}");
        }
    }
    assert!(
        limiter.check(&one, &spellings(&["2001:db8:0:1::1"])[0]).await.allowed(),
        "the next network is another client"
    );
}

async fn a_cost_is_taken_whole_or_not_at_all(limiter: RateGuard) {
    let ten = policy("ten", 10, MINUTE);
    let key = Key::user("bulk");
    assert_eq!(limiter.check_cost(&ten, &key, 7).await.remaining(), 3);
    let denied = limiter.check_cost(&ten, &key, 4).await;
    assert!(!denied.allowed());
    assert_eq!(denied.remaining(), 3);
    assert!(denied.retry_after().is_some());
    assert_eq!(limiter.check_cost(&ten, &key, 3).await.remaining(), 0);
    assert!(limiter.check_cost(&ten, &key, 0).await.allowed(), "nothing is always to be had");
}

async fn a_cost_above_the_limit_is_denied_for_ever(limiter: RateGuard) {
    let decision = limiter.check_cost(&policy("never", 5, MINUTE), &Key::user("greedy"), 6).await;
    assert!(!decision.allowed());
    assert_eq!(decision.retry_after(), None);
    assert_eq!(decision.remaining(), 5);
}

async fn limits_checked_together_are_charged_together_or_not_at_all(limiter: RateGuard) {
    let (minute, day) = (policy("minute", 3, MINUTE), policy("day", 30, Duration::from_secs(86_400)));
    let key = Key::user("steady");
    let both = [Check::new(&minute, &key), Check::new(&day, &key)];
    for _ in 0..3 {
        assert!(limiter.check_all(&both).await.iter().all(rateguard::Decision::allowed));
    }
    let fourth = limiter.check_all(&both).await;
    assert!(!fourth[0].allowed() && fourth[1].allowed());
    assert_eq!(fourth[1].remaining(), 27, "three units of the day are used");
    assert_eq!(limiter.check(&day, &key).await.remaining(), 26);
}

async fn a_bucket_named_twice_in_one_check_is_charged_twice(limiter: RateGuard) {
    let five = policy("twice", 5, MINUTE);
    let key = Key::user("double");
    let decisions = limiter.check_all(&[Check::new(&five, &key), Check::new(&five, &key).cost(2)]).await;
    assert_eq!(decisions.iter().map(rateguard::Decision::remaining).collect::<Vec<_>>(), [2, 2]);
    let decisions = limiter.check_all(&[Check::new(&five, &key).cost(2), Check::new(&five, &key)]).await;
    assert!(decisions.iter().all(|decision| !decision.allowed()));
    assert_eq!(limiter.check(&five, &key).await.remaining(), 1);
    assert!(limiter.check_all(&[]).await.is_empty());
}

async fn of_many_at_once_exactly_the_limit_is_allowed(limiter: RateGuard) {
    let fifty = policy("fifty", 50, MINUTE);
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let (limiter, fifty) = (limiter.clone(), fifty.clone());
        tasks.spawn(async move { limiter.check(&fifty, &Key::global()).await });
    }
    let decisions = tasks.join_all().await;
    assert!(decisions.iter().all(|decision| !decision.degraded()));
    assert_eq!(decisions.iter().filter(|decision| decision.allowed()).count(), 50);
    let mut remaining: Vec<_> = decisions.iter().filter(|d| d.allowed()).map(rateguard::Decision::remaining).collect();
    remaining.sort_unstable();
    assert_eq!(remaining, (0..50).collect::<Vec<_>>(), "each allowance has a place of its own");
}

async fn large_limits_are_as_exact_as_small_ones(limiter: RateGuard) {
    for (name, limit) in [("z", 128), ("p", 129), ("p-most", 512), ("l", 513), ("l-large", 5000)] {
        let large = policy(name, limit, MINUTE);
        let key = Key::user("busy");
        for taken in 1..=3 {
            assert_eq!(limiter.check(&large, &key).await.remaining(), limit - taken);
        }
        assert_eq!(limiter.check_cost(&large, &key, limit - 13).await.remaining(), 10);
        assert!(!limiter.check_cost(&large, &key, 11).await.allowed());
        for remaining in (0..10).rev() {
            assert_eq!(limiter.check(&large, &key).await.remaining(), remaining);
        }
        let before = Instant::now();
        let full = limiter.check(&large, &key).await;
        assert!(!full.allowed(), "{name}");
        let bulk = limiter.check_cost(&large, &key, limit).await;
        // Above 512, what came within a moment leaves together.
        let later = limit > 512 || bulk.retry_after().map(|wait| before.elapsed() + wait) > full.retry_after();
        assert!(later, "room for all of it comes later than room for one");
    }
    let huge = policy("huge", u32::MAX, Duration::from_secs(365 * 86_400));
    assert_eq!(limiter.check_cost(&huge, &Key::global(), u32::MAX - 1).await.remaining(), 1);
    assert_eq!(limiter.check(&huge, &Key::global()).await.remaining(), 0);
    assert!(!limiter.check(&huge, &Key::global()).await.allowed());
}

async fn a_large_window_lets_go_what_has_left_it(limiter: RateGuard) {
    for (name, limit) in [("z-leaves", 100), ("p-leaves", 300), ("l-leaves", 700)] {
        let window = Duration::from_millis(200);
        let short = policy(name, limit, window);
        let key = Key::user("waves");
        for _ in 0..3 {
            for _ in 0..4 {
                assert!(limiter.check_cost(&short, &key, limit / 10).await.allowed());
            }
            assert!(limiter.check_cost(&short, &key, limit / 2).await.allowed());
            let last = limiter.check_cost(&short, &key, limit / 5).await;
            if let Some(wait) = last.retry_after() {
                tokio::time::sleep(wait).await;
                assert!(limiter.check_cost(&short, &key, limit / 5).await.allowed(), "{name}");
            }
            tokio::time::sleep(window).await;
            assert_eq!(limiter.check_cost(&short, &key, 0).await.remaining(), limit, "{name}: all of it is back");
        }
    }
}

rateguard_tests::on_every_store! {
    lifetimes <= i64::MAX;
    the_limit_is_allowed_and_the_next_is_denied
    waiting_as_long_as_the_denial_says_is_enough
    a_denied_request_is_not_charged
    clients_and_policies_do_not_share
    one_client_is_one_client_however_its_address_is_written
    a_cost_is_taken_whole_or_not_at_all
    a_cost_above_the_limit_is_denied_for_ever
    limits_checked_together_are_charged_together_or_not_at_all
    a_bucket_named_twice_in_one_check_is_charged_twice
    of_many_at_once_exactly_the_limit_is_allowed
    large_limits_are_as_exact_as_small_ones
    a_large_window_lets_go_what_has_left_it
}
