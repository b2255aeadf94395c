//! What stands in Redis: names, lifetimes, forms, and what is done about what should not be there.

mod forms;
mod lifetimes;

use std::time::Duration;

use futures_util::future::join_all;
use rateguard::{Check, Key, Policy, Quota, RateGuard, StoreErrorKind};
use rateguard_tests::{RedisServer, connected, one_of_each_form};
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_secs(60);

fn policy(name: &'static str, limit: u32) -> Policy {
    Policy::new(name, Quota::sliding_window(limit, MINUTE))
}

/// Asks Redis each time, also where it is certain what it would say.
async fn limiter(server: &RedisServer) -> RateGuard {
    connected(RateGuard::builder().deny_cache(Duration::ZERO), server).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_limiters_on_one_redis_count_together() {
    let server = RedisServer::start();
    let (one, two) = (limiter(&server).await, limiter(&server).await);
    let fifty = policy("shared", 50);
    let mut tasks = JoinSet::new();
    for n in 0..200 {
        let limiter = if n % 2 == 0 { one.clone() } else { two.clone() };
        let fifty = fifty.clone();
        tasks.spawn(async move { limiter.check(&fifty, &Key::global()).await.allowed() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|allowed| *allowed).count(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_was_flushed_is_brought_back_without_a_gap() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    let some = policy("flushed", 100);
    for used in 1..=20 {
        let _: String = server.command(&["SCRIPT", "FLUSH"]);
        let decision = limiter.check(&some, &Key::global()).await;
        assert!(!decision.degraded());
        assert_eq!(decision.remaining(), 100 - used, "once, not twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_one_identity_share_a_cluster_slot() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    let key = Key::user("one");
    let (minute, day) = (policy("minute", 5), policy("day", 500));
    let _ = limiter.check_all(&[Check::new(&minute, &key), Check::new(&day, &key)]).await;
    let keys = server.keys();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|key| key.starts_with("ratelimit:{user:one}:")), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_out_of_memory_is_counted_for_here_and_keeps_nothing_half_written() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for (name, limit) in [("z", 5), ("p", 200), ("l", 2000)] {
        for n in 0..limit + 3 {
            let decision = limiter.check(&policy(name, limit), &Key::global()).await;
            assert_eq!(decision.allowed(), n < limit, "{name} {n}");
            assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::OutOfMemory), "{name}");
        }
    }
    assert!(server.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_rules_in_the_guide_suffice_and_nothing_more_is_granted() {
    let chapter = include_str!("../../../../rateguard/src/guide/in_production.md");
    let rules = chapter.split_once("**Access rules.**").unwrap().1.split("```").nth(1).unwrap();
    let rules = rules.strip_prefix("text").unwrap();
    let server = RedisServer::start();
    let mut command = vec!["ACL", "SETUSER", "limiter", "on", ">pass"];
    command.extend(rules.split_whitespace());
    let _: String = server.command(&command);
    let limiter = RateGuard::builder()
        .redis(format!("redis://limiter:pass@127.0.0.1:{}", server.port()))
        .deadline(Duration::from_secs(10))
        .build()
        .unwrap();
    let quotas = one_of_each_form(3, MINUTE);
    for quota in quotas {
        let all = Policy::new("all", quota);
        for cost in [1, 1, quota.limit() - 2, 1] {
            let decision = limiter.check_cost(&all, &Key::global(), cost).await;
            assert!(!decision.degraded(), "{quota:?}: {:?}", decision.degraded_reason());
        }
    }
    let _: String = server.command(&["SCRIPT", "FLUSH"]);
    assert!(!limiter.check(&policy("after", 3), &Key::global()).await.degraded());
    let _: String = server.command(&["ACL", "SETUSER", "limiter", "-zadd"]);
    let denied = limiter.check(&policy("denied", 3), &Key::global()).await;
    assert_eq!(denied.degraded_reason(), Some(StoreErrorKind::Forbidden));
    assert!(denied.allowed());
}
