//! What lies under our keys is lost, changed, or of another time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rateguard::{Key, Policy, Quota, StoreErrorKind};
use rateguard_tests::{Proxy, RedisServer, one_of_each_form};
use tokio::task::JoinSet;

use crate::watch::{MINUTE, Watch, connected, patient, policy};

/// T: no key is for ever, and none lives longer than two windows and a second.
fn all_keys_end(server: &RedisServer) {
    for key in server.keys() {
        let left: i64 = server.command(&["PTTL", &key]);
        // Redis may have let it go since it was listed.
        let is_gone = left == -2;
        assert!(is_gone || (1..=121_000).contains(&left), "T: {key} has {left} ms");
    }
}

pub(crate) async fn script_flush(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = patient(server.url()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU32::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        let (limiter, stop, sent) = (limiter.clone(), Arc::clone(&stop), Arc::clone(&sent));
        clients.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let decision = watch.check(&limiter, &policy("flush"), &Key::global()).await;
                assert!(!decision.degraded(), "never fails open: {:?}", decision.degraded_reason());
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for _ in 0..300 {
        let _: String = server.command(&["SCRIPT", "FLUSH"]);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 100_000);
    assert_eq!(watch.used(&limiter, &policy("flush"), &Key::global()).await, sent, "X");
    watch.note(format!("{sent} checks over 300 flushes, each counted once"));
}

pub(crate) async fn flushed(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = patient(server.url()).await;
    let two = Policy::new("two", Quota::sliding_window(2, MINUTE));
    let allowed = async || {
        let mut allowed = 0;
        while watch.check(&limiter, &two, &Key::global()).await.allowed() {
            allowed += 1;
        }
        allowed
    };
    assert_eq!(allowed().await, 2);
    let _: String = server.command(&["FLUSHALL"]);
    assert_eq!(allowed().await, 2, "a fresh window, nothing worse");
    all_keys_end(&server);

    let _: String = server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let used: String = server.command(&["INFO", "memory"]);
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().to_owned();
    let _: String =
        server.command(&["CONFIG", "SET", "maxmemory", &(used.parse::<u64>().unwrap() + 300_000).to_string()]);
    for client in 0..5000 {
        let decision = watch.check(&limiter, &two, &Key::user(client.to_string())).await;
        assert!(decision.allowed());
    }
    let stats: String = server.command(&["INFO", "stats"]);
    assert!(!stats.contains("evicted_keys:0\r"), "the server had to evict");
    assert!(allowed().await <= 2);
    all_keys_end(&server);
}

pub(crate) async fn foreign_and_immortal(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = connected(server.url()).await;
    let _: String = server.command(&["SET", "ratelimit:{user:taken}:p:sw2", "theirs"]);
    for _ in 0..3 {
        let decision = watch.check(&limiter, &policy("p"), &Key::user("taken")).await;
        assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::WrongType));
        assert!(
            !watch.check(&limiter, &policy("p"), &Key::user("free")).await.degraded(),
            "its neighbours are counted"
        );
    }
    let theirs: String = server.command(&["GET", "ratelimit:{user:taken}:p:sw2"]);
    assert_eq!(theirs, "theirs", "untouched");
    let _: i64 = server.command(&["DEL", "ratelimit:{user:taken}:p:sw2"]);

    let quotas = one_of_each_form(2, MINUTE);
    for (n, quota) in quotas.into_iter().enumerate() {
        let policy = Policy::try_new(format!("immortal{n}"), quota).unwrap();
        let _ = limiter.check_cost(&policy, &Key::global(), quota.limit()).await;
        for key in server.keys() {
            let _: i64 = server.command(&["PERSIST", &key]);
        }
        let _ = watch.check(&limiter, &policy, &Key::global()).await;
        let mended: Vec<String> = server.keys().into_iter().filter(|key| key.contains(policy.name())).collect();
        let left: i64 = server.command(&["PTTL", &mended[0]]);
        assert!((1..=121_000).contains(&left), "T: {mended:?} has {left} ms");
    }
}

pub(crate) async fn clock(watch: &'static Watch) {
    const NOON: u64 = 1_800_000_000_000_000;
    const HOUR: u64 = 3_600_000_000;
    let server = RedisServer::start_with_clock();
    server.clock().set(NOON);
    let limiter = connected(server.url()).await;
    for (n, quota) in one_of_each_form(2, MINUTE).into_iter().enumerate() {
        for to in [NOON - HOUR, NOON + HOUR] {
            server.clock().set(NOON);
            let policy = Policy::try_new(format!("clock{n}-{to}"), quota).unwrap();
            assert!(limiter.check_cost(&policy, &Key::global(), quota.limit()).await.allowed());
            assert!(!watch.check(&limiter, &policy, &Key::global()).await.allowed());
            server.clock().set(to);
            let denied = watch.check(&limiter, &policy, &Key::global()).await;
            all_keys_end_of(&server, policy.name());
            // No client is denied for longer than a window: `check` has looked at `retry_after`.
            let wait = denied.retry_after().unwrap_or_default();
            server.clock().set(to + u64::try_from(wait.as_micros()).unwrap());
            assert!(denied.allowed() || watch.check(&limiter, &policy, &Key::global()).await.allowed(), "{quota:?}");
            all_keys_end_of(&server, policy.name());
        }
    }
}

fn all_keys_end_of(server: &RedisServer, name: &str) {
    for key in server.keys().into_iter().filter(|key| key.contains(name)) {
        let left: i64 = server.command(&["PTTL", &key]);
        // Redis may have let it go since it was listed.
        let is_gone = left == -2;
        assert!(is_gone || (1..=121_000).contains(&left), "T: {key} has {left} ms");
    }
}

pub(crate) async fn poisoned(watch: &'static Watch) {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let limiter = connected(proxy.url()).await;
    let (connects, mut planted) = (proxy.connects(), 0);
    let (seconds, _): (u64, u64) = server.command(&["TIME"]);
    let now = format!("{seconds}000000");
    let text = |rest: &str| format!("{now} {rest}");
    let (huge, many, far) =
        (text("18446744073709551616"), text("1 9223372036854775807"), text("99999999999999999999 1"));
    let poisons: [&[&str]; 16] = [
        &["SET", &huge],
        &["SET", &many],
        &["SET", &far],
        &["SET", "-1 1e400 nan"],
        &["SET", ""],
        &["SET", "rg1:"],
        &["SET", "rg1:\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}"],
        &["RPUSH", "-inf", &now],
        &["RPUSH", "0", "-1e400"],
        &["RPUSH", "nan"],
        &["ZADD", "inf", "inf"],
        &["ZADD", &now, ""],
        &["ZADD", "0", "0"],
        &["HSET", "field", "value"],
        &["SADD", "member"],
        &["XADD", "*", "field", "value"],
    ];
    let quotas = one_of_each_form(5, MINUTE);
    for (n, quota) in quotas.into_iter().enumerate() {
        let policy = Policy::try_new(format!("poisoned{n}"), quota).unwrap();
        let odd = Key::user("odd");
        let _ = watch.check(&limiter, &policy, &odd).await;
        let key = server.keys().into_iter().find(|key| key.contains(policy.name())).unwrap();
        for (m, poison) in poisons.iter().enumerate() {
            let _: i64 = server.command(&["DEL", &key]);
            let words: Vec<&str> = [poison[0], &key].into_iter().chain(poison[1..].iter().copied()).collect();
            let _: redis::Value = server.command(&words);
            planted += 1;
            let neighbour = Key::user(m.to_string());
            // In one call, as far as that is in our hands.
            let (_, other) =
                tokio::join!(watch.check(&limiter, &policy, &odd), watch.check(&limiter, &policy, &neighbour));
            assert!(!other.degraded(), "{poison:?} under {key}: {:?}", other.degraded_reason());
        }
    }
    assert_eq!(proxy.connects(), connects, "B: no value drops the connection");
    watch.recovers(&limiter).await;
    watch.note(format!("{planted} values planted, no neighbour noticed"));
}
