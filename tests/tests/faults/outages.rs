//! The server goes away, hangs, or has no room.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rateguard::{Key, Policy, Quota, StoreErrorKind};
use rateguard_tests::{Proxy, RedisServer};
use tokio::task::JoinSet;

use crate::watch::{DEADLINE, MINUTE, Watch, connected, limiter, policy};

pub(crate) async fn killed_under_load(watch: &'static Watch) {
    let mut server = RedisServer::start();
    let limiter = connected(server.url()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let counted = Arc::new(AtomicU32::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..32 {
        let (limiter, stop, counted) = (limiter.clone(), Arc::clone(&stop), Arc::clone(&counted));
        clients.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if !watch.check(&limiter, &policy("load"), &Key::global()).await.degraded() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.kill();
        watch.until_reason(&limiter, StoreErrorKind::Unreachable).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        // What is in its memory is gone with it.
        counted.store(0, Ordering::Relaxed);
        server.launch();
        watch.recovers(&limiter).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let used = watch.used(&limiter, &policy("load"), &Key::global()).await;
    assert_eq!(used, counted.load(Ordering::Relaxed), "X: since the last start every check was executed once");
}

pub(crate) async fn refused_at_start(watch: &'static Watch) {
    let mut server = RedisServer::stopped();
    let limiter = limiter(server.url());
    watch.until_reason(&limiter, StoreErrorKind::Unreachable).await;
    let start = Instant::now();
    for _ in 0..10_000 {
        assert!(watch.check(&limiter, &policy("p"), &Key::global()).await.degraded());
    }
    watch.note(format!("a check while it is down: {:.1} µs", start.elapsed().as_secs_f64() * 100.0));
    server.launch();
    watch.recovers(&limiter).await;
}

pub(crate) fn signal(server: &RedisServer, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &server.pid().to_string()]).status().unwrap();
    assert!(sent.success());
}

pub(crate) async fn hang(watch: &'static Watch) {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let limiter = connected(proxy.url()).await;
    signal(&server, "STOP");
    let connects = proxy.connects();
    let (mut sent, mut waited) = (0, Duration::ZERO);
    let hung = Instant::now();
    while hung.elapsed() < Duration::from_secs(5) {
        let start = Instant::now();
        assert!(watch.check(&limiter, &policy("hung"), &Key::global()).await.degraded());
        waited += start.elapsed();
        sent += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(waited < 10 * DEADLINE + Duration::from_secs(2), "after a few, nobody waits: {waited:?}");
    let connects = proxy.connects() - connects;
    assert!(connects <= 15, "B: {connects} connects in five seconds");
    signal(&server, "CONT");
    watch.recovers(&limiter).await;
    let used = watch.used(&limiter, &policy("hung"), &Key::global()).await;
    assert!(used <= 3, "X: of {sent}, those that were sent before the connection was given up: {used}");
    watch.note(format!("waiting in all: {} ms in {sent} checks; {connects} connects in 5 s", waited.as_millis()));
}

pub(crate) async fn slow(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = connected(server.url()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for limit in [7_000_u32, 20_000, 300_000, 4_000_000] {
        let (limiter, stop) = (limiter.clone(), Arc::clone(&stop));
        clients.spawn(async move {
            let own = Policy::new("slow", Quota::fixed_window(limit, MINUTE));
            let key = Key::user(limit.to_string());
            let (mut sent, mut counted, mut left) = (0, 0, limit);
            while !stop.load(Ordering::Relaxed) {
                let decision = watch.check(&limiter, &own, &key).await;
                sent += 1;
                if !decision.degraded() {
                    counted += 1;
                    assert!(decision.remaining() < left, "an answer is to this check, and to no earlier one");
                    left = decision.remaining();
                    assert!(limit - left >= counted && limit - left <= sent, "X: {left} of {limit} left after {sent}");
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            let used = watch.used(&limiter, &own, &key).await;
            assert!(used >= counted && used <= sent, "X: {used} of {sent}, {counted} answered");
        });
    }
    for pause in ["60", "150", "2000"] {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let _: String = server.command(&["CLIENT", "PAUSE", pause, "ALL"]);
        tokio::time::sleep(Duration::from_millis(pause.parse().unwrap())).await;
        watch.recovers(&limiter).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}

pub(crate) async fn storm(watch: &'static Watch) {
    let mut server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let limiters: Vec<_> = (0..200).map(|_| limiter(proxy.url())).collect();
    for limiter in &limiters {
        watch.recovers(limiter).await;
    }
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    server.kill();
    let connects = proxy.connects();
    tokio::time::sleep(Duration::from_secs(3)).await;
    for limiter in &limiters {
        assert!(watch.check(limiter, &policy("storm"), &Key::global()).await.degraded());
    }
    let each = f64::from(u32::try_from(proxy.connects() - connects).unwrap()) / 200.0;
    assert!(each <= 15.0, "B: {each} connects each in three seconds");
    server.launch();
    let cured = Instant::now();
    for limiter in &limiters {
        watch.recovers(limiter).await;
    }
    let now = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(now <= tasks + 5, "B: {tasks} tasks before, {now} after");
    watch.note(format!("{each:.1} connects each in 3 s; all back in {:.2} s", cured.elapsed().as_secs_f32()));
}

pub(crate) async fn max_clients(watch: &'static Watch) {
    let server = RedisServer::start_with(&["--maxclients", "2"]);
    let mut others = vec![server.connection(), server.connection()];
    let limiter = limiter(server.url());
    // The server says why and hangs up at once; what it said may be lost in that.
    let reason = watch.until_degraded(&limiter).await;
    assert!(matches!(reason, StoreErrorKind::TooManyClients | StoreErrorKind::Unreachable), "{reason:?}");
    watch.note(format!("seen as {}: {}", reason.as_str(), limiter.ready().await.unwrap_err()));
    others.clear();
    watch.recovers(&limiter).await;
}
