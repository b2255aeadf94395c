//! What stands in Redis: names, lifetimes, forms, and what is done about what should not be there.

use std::time::Duration;

use futures_util::future::join_all;
use rateguard::{Check, Key, Policy, Quota, RateGuard, StoreErrorKind};
use rateguard_tests::{RedisServer, connected};
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
async fn a_key_is_named_for_identity_policy_and_algorithm_and_holds_one_member_a_hit() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    for _ in 0..3 {
        let _ = limiter.check(&policy("search", 5), &Key::ip([203, 0, 113, 7])).await;
    }
    let key = "ratelimit:{ip:203.0.113.7}:search:sw2";
    assert_eq!(server.keys(), [key]);
    let members: Vec<(String, u64)> = server.command(&["ZRANGEBYSCORE", key, "-inf", "(inf", "WITHSCORES"]);
    assert_eq!(members.len(), 3);
    let (seconds, _): (u64, u64) = server.command(&["TIME"]);
    for (_, score) in members {
        assert!((score / 1_000_000).abs_diff(seconds) < 60, "a score is the server's time in microseconds");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prefix_is_the_builders() {
    let server = RedisServer::start();
    let limiter = connected(RateGuard::builder().prefix("shop:limits"), &server).await;
    let _ = limiter.check(&policy("p", 5), &Key::global()).await;
    assert_eq!(server.keys(), ["shop:limits:{global}:p:sw2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_request_writes_nothing() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    for (name, limit) in [("z", 3), ("p", 200), ("l", 2000)] {
        let full = policy(name, limit);
        let key = Key::user("u");
        let _ = limiter.check_cost(&full, &key, limit).await;
        let name = format!("ratelimit:{{user:u}}:{name}:sw2");
        let before: Vec<u8> = server.command(&["DUMP", &name]);
        let changes = |server: &RedisServer| -> String {
            let info: String = server.command(&["INFO", "persistence"]);
            info.lines().find(|line| line.starts_with("rdb_changes_since_last_save")).unwrap().to_owned()
        };
        let written = changes(&server);
        for _ in 0..5 {
            assert!(!limiter.check(&full, &key).await.allowed());
        }
        assert_eq!(server.command::<Vec<u8>>(&["DUMP", &name]), before);
        assert_eq!(changes(&server), written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_has_a_lifetime_of_one_to_two_windows_and_a_second() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    for (name, limit) in [("z", 100), ("p", 200), ("l", 2000)] {
        let some = policy(name, limit);
        for _ in 0..10 {
            let _ = limiter.check(&some, &Key::global()).await;
            let ttl: i64 = server.command(&["PTTL", &format!("ratelimit:{{global}}:{name}:sw2")]);
            assert!((60_000..=121_000).contains(&ttl), "{name}: {ttl}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifetime_that_was_taken_away_is_restored_by_the_next_denied_check() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    for (name, limit) in [("z", 2), ("p", 200), ("l", 2000)] {
        let full = policy(name, limit);
        let key = format!("ratelimit:{{global}}:{name}:sw2");
        let _ = limiter.check_cost(&full, &Key::global(), limit).await;
        for spoil in [vec!["PERSIST", &key], vec!["PEXPIRE", &key, "3604000"]] {
            let _: i64 = server.command(&spoil);
            assert!(!limiter.check(&full, &Key::global()).await.allowed());
            let ttl: i64 = server.command(&["PTTL", &key]);
            assert!((1..=121_000).contains(&ttl), "{name}: {ttl}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_only_looks_like_our_log_fails_its_own_check_and_delays_no_other() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    let (seconds, _): (u64, u64) = server.command(&["TIME"]);
    let (now, later) = (format!("{seconds}000000"), format!("{}000000", seconds + 60));
    let sound = format!("{now}100");
    let head = "rg2m\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let half = format!("{head}\0\0\0");
    for (name, limit, plant) in [
        // Members that are no times, or times that their scores are not.
        ("z", 5, vec!["ZADD", &later, "%%%%%%%%%%%%%%%%%%%"]),
        ("z", 5, vec!["ZADD", &later, "1000000000000000zzz"]),
        ("z", 5, vec!["ZADD", &now, "x", &later, &sound]),
        ("z", 1, vec!["ZADD", &now, "1%%%%%%%%%%%%%%%100", &later, &sound]),
        ("z", 5, vec!["ZADD", &now, &sound, "inf", "a window"]),
        // A head and no entries, half an entry, and entries of no order.
        ("l", 2000, vec!["SET", head]),
        ("l", 2000, vec!["SET", &half]),
    ] {
        let some = policy(name, limit);
        let key = format!("ratelimit:{{user:odd}}:{name}:sw2");
        let _: i64 = server.command(&["DEL", &key]);
        let plant: Vec<&str> = [plant[0], &key].into_iter().chain(plant[1..].iter().copied()).collect();
        let _: redis::Value = server.command(&plant);
        let asked = (0..20).map(|n| {
            let key = if n % 2 == 0 { Key::user("odd") } else { Key::user(format!("{plant:?}-{n}")) };
            let (limiter, some) = (&limiter, &some);
            async move { limiter.check(some, &key).await }
        });
        for (n, decision) in join_all(asked).await.into_iter().enumerate() {
            assert_eq!(decision.degraded(), n % 2 == 0, "{plant:?}, {n}: {:?}", decision.degraded_reason());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_value_under_our_key_is_left_alone_and_fails_only_its_own_check() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    for (name, limit) in [("z", 5), ("p", 200), ("l", 2000)] {
        let some = policy(name, limit);
        let key = format!("ratelimit:{{user:odd}}:{name}:sw2");
        let mut odd_ones = 0;
        for (plant, kind) in [
            (vec!["SET", key.as_str(), "somebody else's"], "string"),
            (vec!["HSET", &key, "field", "value"], "hash"),
            (vec!["RPUSH", &key, "somebody", "else"], "list"),
        ] {
            let _: i64 = server.command(&["DEL", &key]);
            let _: redis::Value = server.command(&plant);
            let dump: Vec<u8> = server.command(&["DUMP", &key]);
            // Many at once, so that they share a call with neighbours of sound keys.
            let mut tasks = JoinSet::new();
            for n in 0..20 {
                let (limiter, some) = (limiter.clone(), some.clone());
                let key = if n % 2 == 0 { Key::user("odd") } else { Key::user(format!("{kind}-{n}")) };
                tasks.spawn(async move { (n, limiter.check(&some, &key).await) });
            }
            for (n, decision) in tasks.join_all().await {
                let reason = (n % 2 == 0).then_some(StoreErrorKind::WrongType);
                assert_eq!(decision.degraded_reason(), reason, "{name} {kind} {n}");
                // The odd one is counted here: ten checks of each kind.
                odd_ones += u32::from(n % 2 == 0 && decision.allowed());
                assert!(decision.allowed() || n % 2 == 0, "{name} {kind} {n}");
            }
            assert_eq!(server.command::<Vec<u8>>(&["DUMP", &key]), dump);
        }
        assert_eq!(odd_ones, limit.min(30), "{name}: no client gains by it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_changed_across_forms_keeps_what_was_counted() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    let key = Key::user("redeploy");
    let mut used = 0;
    for (limit, form) in [
        (100, "zset"),
        (50, "zset"),
        (300, "string"),
        (2000, "string"),
        (50, "string"),
        (3000, "string"),
        (127, "string"),
    ] {
        let changed = policy("resized", limit);
        let decision = limiter.check_cost(&changed, &key, 3).await;
        assert!(!decision.degraded() && decision.allowed());
        used += 3;
        assert_eq!(decision.remaining(), limit - used, "{limit}");
        let found: String = server.command(&["TYPE", "ratelimit:{user:redeploy}:resized:sw2"]);
        assert_eq!(found, form);
        let ttl: i64 = server.command(&["PTTL", "ratelimit:{user:redeploy}:resized:sw2"]);
        assert!((60_000..=121_000).contains(&ttl));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sorted_set_stays_compact_and_becomes_a_log_where_its_numbers_run_out() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    let quick = Policy::new("quick", Quota::sliding_window(127, Duration::from_millis(5)));
    let mut allowed = 0;
    while allowed < 12_000 {
        let decision = limiter.check_cost(&quick, &Key::global(), 64).await;
        assert!(!decision.degraded());
        match decision.retry_after() {
            None => allowed += 64,
            Some(wait) => tokio::time::sleep(wait).await,
        }
        // And units that are taken one by one, some of them at once.
        let all = Key::global();
        for decision in join_all((0..allowed % 25).map(|_| limiter.check(&quick, &all))).await {
            assert!(!decision.degraded());
            allowed += u32::from(decision.allowed());
        }
        let key = "ratelimit:{global}:quick:sw2";
        let encoding: Option<String> = server.command(&["OBJECT", "ENCODING", key]);
        assert!(
            encoding.as_deref().is_none_or(|encoding| ["listpack", "ziplist", "raw", "embstr"].contains(&encoding)),
            "{encoding:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_from_the_future_count_from_now_on() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    for (name, limit) in [("z", 4), ("p", 200), ("l", 2000)] {
        let stepped = policy(name, limit);
        let key = format!("ratelimit:{{global}}:{name}:sw2");
        let _ = limiter.check_cost(&stepped, &Key::global(), limit).await;
        // As if the clock had stepped back an hour: what was counted now lies an hour ahead.
        let (seconds, _): (u64, u64) = server.command(&["TIME"]);
        let ahead = (seconds + 3600) * 1_000_000;
        if name == "z" {
            let _: i64 = server.command(&["DEL", &key]);
            let _: i64 = server.command(&["ZADD", &key, "inf", "60000000"]);
            for number in 100..104 {
                let member = format!("{ahead}{number}");
                let _: i64 = server.command(&["ZADD", &key, &ahead.to_string(), &member]);
            }
        } else {
            // The log's own first entry, at a later time: its place is after the head.
            let mut connection = server.connection();
            let mut log: Vec<u8> = redis::cmd("GET").arg(&key).query(&mut connection).unwrap();
            let size = if log.starts_with(b"rg2e") { 7 } else { 18 };
            for entry in log[29..].chunks_exact_mut(size) {
                entry[..7].copy_from_slice(&u64::to_be_bytes(ahead)[1..]);
            }
            let _: () = redis::cmd("SET").arg(&key).arg(log).query(&mut connection).unwrap();
        }
        let decision = limiter.check(&stepped, &Key::global()).await;
        assert!(!decision.degraded(), "{name}");
        assert!(!decision.allowed(), "{name}: nobody gets a fresh quota");
        assert!(decision.retry_after().unwrap() <= MINUTE, "{name}: and nobody waits longer than a window");
    }
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
    let chapter = include_str!("../../../rateguard/src/guide/in_production.md");
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
    let quotas = [
        Quota::sliding_window(3, MINUTE),
        Quota::sliding_window(300, MINUTE),
        Quota::sliding_window(3000, MINUTE),
        Quota::sliding_counter(3, MINUTE),
        Quota::fixed_window(3, MINUTE),
        Quota::token_bucket(3, MINUTE),
    ];
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
