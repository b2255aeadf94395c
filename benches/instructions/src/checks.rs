//! Checks in memory.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use rateguard::{Check, Key, Policy, Quota, RateGuard};

use crate::{Operation, Steps, now};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// One check a second, so that some sixty count, all are allowed, and time ends some of them.
pub(crate) fn operations() -> Vec<Operation> {
    let address = Key::ip(Ipv4Addr::new(192, 0, 2, 1));
    let secret = Key::secret("header.x-api-key", "0123456789abcdef0123456789abcdef");
    let sliding = Quota::sliding_window(100, MINUTE);
    let log = Quota::sliding_window(10_000, MINUTE);
    vec![
        check("check: sliding window", sliding, address.clone(), SECOND),
        check("check: sliding window, a log above 128", log, address.clone(), SECOND / 100),
        check("check: sliding counter", Quota::sliding_counter(100, MINUTE), address.clone(), SECOND),
        check("check: fixed window", Quota::fixed_window(100, MINUTE), address.clone(), SECOND),
        check("check: token bucket", Quota::token_bucket(100, MINUTE), address.clone(), SECOND),
        check("check: sliding window, by a secret", sliding, secret, SECOND),
        two(&address),
        denied(&address),
    ]
}

pub(crate) fn limiter() -> (RateGuard, Steps) {
    let clock = Steps::default();
    (RateGuard::builder().clock(clock.clone()).build().expect("good settings"), clock)
}

fn check(name: &'static str, quota: Quota, key: Key, step: Duration) -> Operation {
    let ((limiter, clock), policy) = (limiter(), Policy::try_new("search", quota).expect("a good name"));
    Operation::new(name, move |times| {
        let (limiter, clock, policy, key) = (limiter.clone(), clock.clone(), policy.clone(), key.clone());
        move || {
            for _ in 0..times {
                clock.advance(step);
                assert!(now(limiter.check(&policy, &key)).allowed());
            }
        }
    })
}

fn two(key: &Key) -> Operation {
    static MINUTES: Policy = Policy::new("minutes", Quota::sliding_window(100, MINUTE));
    static BURSTS: Policy = Policy::new("bursts", Quota::token_bucket(100, MINUTE));
    let ((limiter, clock), key) = (limiter(), key.clone());
    Operation::new("check: two limits together", move |times| {
        let (limiter, clock, key) = (limiter.clone(), clock.clone(), key.clone());
        move || {
            for _ in 0..times {
                clock.advance(SECOND);
                let decisions = now(limiter.check_all(&[Check::new(&MINUTES, &key), Check::new(&BURSTS, &key)]));
                assert!(decisions.iter().all(rateguard::Decision::allowed));
            }
        }
    })
}

fn denied(key: &Key) -> Operation {
    static POLICY: Policy = Policy::new("search", Quota::sliding_window(100, Duration::from_secs(365 * 86_400)));
    let ((limiter, clock), key) = (limiter(), key.clone());
    Operation::new("check: denied", move |times| {
        let (limiter, clock, key) = (limiter.clone(), clock.clone(), key.clone());
        move || {
            for _ in 0..times {
                clock.advance(SECOND / 1000);
                black_box(now(limiter.check(&POLICY, &key)));
            }
            assert!(!now(limiter.check(&POLICY, &key)).allowed());
        }
    })
}
