//! Refusals from memory: they cost Redis nothing, are right for as long as they are given, and end in time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

use std::time::{Duration, Instant};

use rateguard::{Check, Key, Policy, Quota, RateGuard, RateGuardBuilder};
use rateguard_tests::{RedisServer, connected};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

static TWO: Policy = Policy::new("two", Quota::sliding_window(2, MINUTE));
static MANY: Policy = Policy::new("many", Quota::sliding_window(100, HOUR));

/// How many scripts the server has run.
fn calls(server: &RedisServer) -> u64 {
    let info: String = server.command(&["INFO", "commandstats"]);
    let calls = |line: &str| line.split_once("calls=")?.1.split_once(',')?.0.parse::<u64>().ok();
    info.lines().filter(|line| line.starts_with("cmdstat_evalsha:")).filter_map(calls).sum()
}

async fn remembering(server: &RedisServer) -> RateGuard {
    // Longer than the default, so that no test depends on being quick.
    connected(RateGuard::builder().deny_cache(MINUTE), server).await
}

async fn spend(limiter: &RateGuard, policy: &Policy, key: &Key) {
    let left = limiter.peek(policy, key).await.unwrap().remaining();
    assert!(limiter.check_cost(policy, key, left).await.allowed());
    assert!(!limiter.check(policy, key).await.allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_knocks_on_is_refused_without_redis_being_asked() {
    let server = RedisServer::start();
    let limiter = remembering(&server).await;
    let key = Key::user("spent");
    spend(&limiter, &TWO, &key).await;
    let before = calls(&server);
    let first = limiter.check(&TWO, &key).await;
    for _ in 0..1000 {
        let decision = limiter.check(&TWO, &key).await;
        assert!(!decision.allowed() && !decision.degraded());
        assert_eq!((decision.limit(), decision.remaining()), (2, 0));
        assert_eq!(decision.retry_after(), Some(decision.reset_after()));
        assert!(decision.retry_after() <= first.retry_after() && decision.reset_after() > MINUTE / 2);
    }
    assert_eq!(calls(&server), before);
    // Others are none of its business.
    assert!(limiter.check(&TWO, &Key::user("other")).await.allowed());
    assert_eq!(calls(&server), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_as_long_as_a_refusal_from_memory_says_is_enough() {
    let server = RedisServer::start();
    let limiter = remembering(&server).await;
    for (name, quota) in [
        ("window", Quota::sliding_window(2, Duration::from_millis(200))),
        ("counter", Quota::sliding_counter(2, Duration::from_millis(200))),
        ("fixed", Quota::fixed_window(2, Duration::from_millis(200))),
        ("bucket", Quota::token_bucket(10, Duration::from_secs(1)).burst(2)),
    ] {
        let policy = Policy::new(name, quota);
        let key = Key::global();
        let (mut refused, mut admitted) = (0, 0);
        while refused < 20 {
            while limiter.check(&policy, &key).await.allowed() {
                admitted += 1;
            }
            // Some of them at once, so that most come from memory.
            for _ in 0..5 {
                let last = limiter.check(&policy, &key).await;
                if let Some(wait) = last.retry_after() {
                    let until = Instant::now() + wait;
                    refused += 1;
                    if refused % 5 == 0 {
                        tokio::time::sleep_until(until.into()).await;
                        assert!(limiter.check(&policy, &key).await.allowed(), "{name}");
                    }
                }
            }
        }
        assert!(admitted > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_cost_or_a_shadow_is_asked_for_anew() {
    let server = RedisServer::start();
    let limiter = remembering(&server).await;
    let key = Key::global();
    assert!(limiter.check(&TWO, &key).await.allowed());
    assert!(!limiter.check_cost(&TWO, &key, 2).await.allowed());
    assert!(limiter.check(&TWO, &key).await.allowed(), "two are too many, one is not");
    let watching = TWO.clone().shadow(true);
    let before = calls(&server);
    for _ in 0..3 {
        let decision = limiter.check(&watching, &key).await;
        assert!(decision.allowed() && decision.would_refuse());
        assert!(limiter.peek(&TWO, &key).await.unwrap().would_refuse());
    }
    assert_eq!(calls(&server), before + 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_refused_for_the_limit_that_is_spent_and_shows_the_others_as_they_were() {
    let server = RedisServer::start();
    let limiter = remembering(&server).await;
    let key = Key::global();
    let both = [Check::new(&TWO, &key), Check::new(&MANY, &key)];
    for _ in 0..2 {
        assert!(limiter.check_all(&both).await.iter().all(rateguard::Decision::allowed));
    }
    let asked = limiter.check_all(&both).await;
    let before = calls(&server);
    let remembered = limiter.check_all(&both).await;
    assert_eq!(calls(&server), before);
    for decisions in [&asked, &remembered] {
        assert!(!decisions[0].allowed() && decisions[1].allowed());
        assert_eq!((decisions[0].remaining(), decisions[1].remaining()), (0, 98));
        assert!(decisions[1].reset_after() > MINUTE);
    }
    // One of them alone is another question.
    assert!(limiter.check(&MANY, &key).await.allowed());
    assert_eq!(calls(&server), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_or_a_refund_by_this_limiter_is_seen_at_once() {
    let server = RedisServer::start();
    let limiter = remembering(&server).await;
    let key = Key::user("forgiven");
    spend(&limiter, &TWO, &key).await;
    limiter.reset(&TWO, &key).await.unwrap();
    assert!(limiter.check(&TWO, &key).await.allowed());
    spend(&limiter, &TWO, &key).await;
    limiter.refund(&TWO, &key, 1).await.unwrap();
    assert!(limiter.check(&TWO, &key).await.allowed());
    // Another limit of the same request that is given back.
    let both = [Check::new(&MANY, &key), Check::new(&TWO, &key)];
    assert!(!limiter.check_all(&both).await[1].allowed());
    limiter.reset(&TWO, &key).await.unwrap();
    assert!(limiter.check_all(&both).await[1].allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_by_another_server_is_seen_when_the_cap_has_passed() {
    let server = RedisServer::start();
    let cap = Duration::from_millis(300);
    let limiter = connected(RateGuard::builder().deny_cache(cap), &server).await;
    let other = connected(RateGuard::builder(), &server).await;
    let key = Key::user("elsewhere");
    let asked = Instant::now();
    spend(&limiter, &TWO, &key).await;
    other.reset(&TWO, &key).await.unwrap();
    let mut refused = 0;
    while !limiter.check(&TWO, &key).await.allowed() {
        refused += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(refused > 0 || asked.elapsed() >= cap);
    assert_eq!(limiter.peek(&TWO, &key).await.unwrap().remaining(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_stands_while_redis_is_away_and_no_longer() {
    let mut server = RedisServer::start();
    let build = |builder: RateGuardBuilder| builder.redis(server.url()).deadline(Duration::from_secs(10)).build();
    let limiter = build(RateGuard::builder().deny_cache(MINUTE)).unwrap();
    let short = build(RateGuard::builder().deny_cache(Duration::from_millis(100))).unwrap();
    limiter.ready().await.unwrap();
    short.ready().await.unwrap();
    let key = Key::user("spent");
    spend(&limiter, &TWO, &key).await;
    assert!(!short.check(&TWO, &key).await.allowed());
    server.kill();
    let still = limiter.check(&TWO, &key).await;
    assert!(!still.allowed() && !still.degraded());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let unknown = short.check(&TWO, &key).await;
    assert!(unknown.allowed() && unknown.degraded());
}
