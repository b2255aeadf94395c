//! Names, and how long they stay.

use super::*;

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
