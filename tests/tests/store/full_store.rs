//! A flood of clients fills the store in this process: the limits hold all the same, of those who flooded and of others.

use std::net::Ipv4Addr;
use std::time::Duration;

use rateguard::{Key, ManualClock, OnError, Policy, Quota, RateGuard, RateGuardBuilder};
use rateguard_tests::Log;
use tracing::Level;

const MINUTE: Duration = Duration::from_secs(60);
const LOGIN: Policy = Policy::new("full::login", Quota::sliding_window(5, MINUTE));
const SEARCH: Policy = Policy::new("full::search", Quota::token_bucket(3, MINUTE));
const EXPORT: Policy = Policy::new("full::export", Quota::fixed_window(10, Duration::from_secs(3600)));
const GLOBAL: Policy = Policy::new("full::global", Quota::sliding_window(1000, Duration::from_secs(1)));
const KEYS: u32 = 1000;

fn address(number: u32) -> Key {
    Key::ip(Ipv4Addr::from_bits(0x0A00_0000 + number))
}

/// Of so many checks, how many are allowed.
async fn allowed(limiter: &RateGuard, policy: &Policy, key: &Key, checks: u32) -> u32 {
    let mut allowed = 0;
    for _ in 0..checks {
        allowed += u32::from(limiter.check(policy, key).await.allowed());
    }
    allowed
}

/// A limiter that counts in this process, since it is made so or since Redis is away.
fn limiters() -> [(&'static str, RateGuard, ManualClock); 2] {
    let here = |name, builder: RateGuardBuilder| {
        let clock = ManualClock::new();
        (name, builder.max_keys(KEYS as usize).clock(clock.clone()).build().unwrap(), clock)
    };
    [
        here("memory", RateGuard::builder()),
        here("local", RateGuard::builder().redis("redis://127.0.0.1:1").on_error(OnError::Local)),
    ]
}

#[tokio::test]
async fn after_a_flood_of_any_policy_new_clients_get_their_limit_and_no_more() {
    for flooded in [&LOGIN, &SEARCH] {
        for (name, limiter, _) in limiters() {
            for number in 0..KEYS * 13 / 10 {
                let _ = allowed(&limiter, flooded, &address(number), 6).await;
            }
            let mut logins = [0; 20];
            for (number, logins) in (1_000_000..).zip(&mut logins) {
                *logins = allowed(&limiter, &LOGIN, &address(number), 1000).await;
            }
            println!("{name}, flood of {}: of 1000 logins of each new address allowed {logins:?}", flooded.name());
            assert!(logins.iter().all(|&logins| logins == 5), "{name}: {logins:?}");
            for number in 0..KEYS * 13 / 10 {
                assert!(
                    !limiter.check(flooded, &address(number)).await.allowed(),
                    "{name}: clients that have used their quota stay denied"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_limit_for_all_holds_whatever_the_flood() {
    for (name, limiter, _) in limiters() {
        for number in 0..KEYS * 13 / 10 {
            let _ = allowed(&limiter, &LOGIN, &address(number), 6).await;
        }
        let global = allowed(&limiter, &GLOBAL, &Key::global(), 20_000).await;
        println!("{name}: of 20 000 in the second allowed {global}");
        assert_eq!(global, 1000, "{name}");
    }
}

#[tokio::test]
async fn a_flood_of_a_longer_window_gives_no_fresh_quota() {
    for (name, limiter, _) in limiters() {
        let mut filler = 0..;
        let mut logins = 0;
        for _ in 0..20 {
            logins += allowed(&limiter, &LOGIN, &address(5_000_000), 4).await;
            for number in filler.by_ref().take(KEYS as usize * 3 / 2) {
                let _ = limiter.check(&EXPORT, &address(number)).await;
            }
        }
        println!("{name}: of 80 logins between fillers allowed {logins}");
        assert!(logins <= 5, "{name}: {logins}");
    }
}

#[tokio::test]
async fn four_times_as_many_clients_as_keys_are_all_limited_and_few_are_denied_too_early() {
    for (name, limiter, _) in limiters() {
        for number in 0..4 * KEYS - 500 {
            let _ = allowed(&limiter, &LOGIN, &address(number), 5).await;
        }
        let mut denied = 0;
        for number in 1_000_000..1_000_500 {
            denied += u32::from(!limiter.check(&LOGIN, &address(number)).await.allowed());
        }
        println!("{name}: of 500 newcomers denied {denied}");
        assert!(denied <= 5, "{name}: {denied}");
    }
}

#[tokio::test]
async fn far_beyond_that_no_client_is_allowed_more_than_the_limit() {
    for (name, limiter, clock) in limiters() {
        let mut total = 0;
        let mut most = 0;
        for number in 0..KEYS * 12 {
            let allowed = allowed(&limiter, &LOGIN, &address(number), 7).await;
            total += allowed;
            most = most.max(allowed);
        }
        println!("{name}: of {} clients allowed {total}, of one at most {most}", KEYS * 12);
        assert_eq!(most, 5, "{name}");
        clock.advance(MINUTE);
        for number in 2_000_000..2_000_000 + KEYS {
            assert!(limiter.check(&LOGIN, &address(number)).await.allowed(), "{name}: a window later it is over");
        }
    }
}

#[tokio::test]
async fn a_full_store_is_told_to_the_log_once_a_minute() {
    let (log, _guard) = Log::capture(Level::WARN);
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().max_keys(100).clock(clock.clone()).build().unwrap();
    for number in 0..1000 {
        let _ = limiter.check(&EXPORT, &address(number)).await;
    }
    let told = || log.lines_with("the memory store is full");
    assert_eq!(told().len(), 1, "{}", log.text());
    assert!(told()[0].contains("max_keys=100") && told()[0].contains("raise max_keys"), "{:?}", told());
    clock.advance(MINUTE);
    for number in 1000..1010 {
        let _ = limiter.check(&EXPORT, &address(number)).await;
    }
    assert_eq!(told().len(), 2, "{}", log.text());
}
