//! Nothing is broken; there is only more than there is room or time for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rateguard::{Key, KeyBy, OnError, Policy, Quota, RateGuard, RateLimitLayer, StoreErrorKind};
use rateguard_tests::{DelayLine, RedisServer};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::watch::{DEADLINE, MINUTE, Watch, connected};

pub(crate) async fn starved_app(watch: &'static Watch) {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    for (workers, name) in [(1, "one worker"), (2, "two workers")] {
        RUNS.store(0, Ordering::SeqCst);
        let server = RedisServer::start();
        let app_runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
        let url = server.url();
        let serving = app_runtime.spawn(async move {
            let limiter = connected(url).await;
            let hashes = || async {
                RUNS.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(100));
            };
            let layer =
                RateLimitLayer::new(limiter.clone()).limit("login", Quota::sliding_window(5, MINUTE), KeyBy::Global);
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let address: SocketAddr = listener.local_addr().unwrap();
            let app = Router::new().route("/", get(hashes)).layer(layer);
            tokio::spawn(async move { axum::serve(listener, app).await });
            (address, limiter)
        });
        let (address, limiter) = serving.await.unwrap();
        let mut clients = JoinSet::new();
        for _ in 0..100 {
            clients.spawn(async move { reqwest::get(format!("http://{address}/")).await.unwrap().status().as_u16() });
        }
        let statuses = clients.join_all().await;
        assert!(statuses.iter().all(|status| matches!(status, 200 | 429)), "O: {statuses:?}");
        let ran = RUNS.load(Ordering::SeqCst);
        watch.note(format!("{name}: {ran} of 100 got in, 5 are allowed"));
        assert!((5..=10).contains(&ran), "{ran}: five in Redis, and at the most five here");
        watch.recovers(&limiter).await;
        drop(limiter);
        app_runtime.shutdown_background();
    }
}

pub(crate) async fn overload(watch: &'static Watch) {
    const CLIENTS: u32 = 2000;
    let server = RedisServer::start();
    let line = DelayLine::start(server.port(), Duration::from_millis(20));
    let limiter = connected(line.url()).await;
    let policy = Policy::new("overload", Quota::sliding_window(3, MINUTE));
    let mut checks = JoinSet::new();
    let began = Instant::now();
    let (mut sent, mut counted) = (0, 0);
    let mut allowed: HashMap<u32, u32> = HashMap::new();
    // 8000 a second, whatever becomes of them.
    while began.elapsed() < Duration::from_secs(3) {
        let due = began.elapsed().as_millis() * 8;
        while u128::from(sent) < due {
            let (limiter, policy, client) = (limiter.clone(), policy.clone(), sent % CLIENTS);
            checks.spawn(async move { (client, watch.check(&limiter, &policy, &Key::user(client)).await) });
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while let Some(check) = checks.join_next().await {
        let (client, decision) = check.unwrap();
        counted += u32::from(!decision.degraded());
        *allowed.entry(client).or_default() += u32::from(decision.allowed());
    }
    let most = allowed.values().max().copied().unwrap_or_default();
    watch.note(format!("{} % answered in time; {most} of a client's 12 got in, 3 are allowed", 100 * counted / sent));
    assert!(most <= 6, "{most}: three in Redis and three here at the most");
    assert!(2 * counted > sent, "what Redis can decide is answered in time, however far it is: {counted} of {sent}");
    line.set(Duration::ZERO);
    watch.recovers(&limiter).await;
}

pub(crate) async fn full_redis(watch: &'static Watch) {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let limiter = connected(server.url()).await;
    let used: String = server.command(&["INFO", "memory"]);
    let used: u64 = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap();
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", &(used + 500_000).to_string()]);
    let two = Policy::new("two", Quota::sliding_window(2, MINUTE));
    let mut identities = 0;
    // One client with a new name in each request.
    while watch.check(&limiter, &two, &Key::user(format!("rotating-{identities}"))).await.degraded_reason()
        != Some(StoreErrorKind::OutOfMemory)
    {
        identities += 1;
        assert!(identities < 100_000, "it is not full");
    }
    watch.note(format!("500 kB are {identities} clients"));
    let mut most = 0;
    for newcomer in 0..100 {
        let mut allowed = 0;
        for _ in 0..6 {
            let decision = watch.check(&limiter, &two, &Key::user(newcomer)).await;
            allowed += u32::from(decision.allowed());
        }
        most = most.max(allowed);
    }
    watch.note(format!("{most} of a newcomer's 6 got in, 2 are allowed"));
    assert!((2..=4).contains(&most), "{most}: two in Redis and two here at the most");
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    watch.recovers(&limiter).await;
}

pub(crate) async fn full_memory(watch: &'static Watch) {
    const PLACES: u32 = 2000;
    let away = RedisServer::stopped();
    let local = RateGuard::builder().redis(away.url()).on_error(OnError::Local).deadline(DEADLINE);
    for (name, builder) in [("memory", RateGuard::builder()), ("local", local)] {
        let limiter = builder.max_keys(PLACES as usize).build().unwrap();
        let filler = Policy::new("filler", Quota::sliding_window(1, Duration::from_secs(3600)));
        let short = Policy::new("short", Quota::sliding_window(1, Duration::from_secs(1)));
        let login = Policy::new("login", Quota::sliding_window(5, MINUTE));
        let all = Policy::new("all", Quota::fixed_window(100, MINUTE));
        let check = async |policy: &Policy, key: &Key| limiter.check(policy, key).await.allowed();
        let denied = Key::user("denied");
        for n in 0..8 {
            assert_eq!(check(&login, &denied).await, n < 5);
        }
        assert!(check(&all, &Key::global()).await);
        // Everybody spends what there is.
        for n in 0..PLACES * 13 / 10 {
            let _ = check(&filler, &Key::user(n)).await;
        }
        assert!(!check(&login, &denied).await, "{name}: a client that has used its quota stays denied");
        let mut most = 0;
        for newcomer in 0..20 {
            let mut allowed = 0;
            for n in 0..100 {
                allowed += u32::from(check(&login, &Key::user(format!("new-{newcomer}"))).await);
                // And goes on, of the same policy and of one with a short window.
                let _ = check(&login, &Key::user(format!("filler-{newcomer}-{n}"))).await;
                let _ = check(&short, &Key::user(format!("filler-{newcomer}-{n}"))).await;
            }
            most = most.max(allowed);
        }
        let mut allowed = 1;
        for _ in 0..500 {
            allowed += u32::from(check(&all, &Key::global()).await);
        }
        watch.note(format!("{name}: {most} of a newcomer's 100 got in, 5 are allowed; {allowed} of all, 100 are"));
        assert!(most <= 5 && allowed <= 100);
        assert!(allowed == 100, "a policy of one key is not pushed out, nor denied too early");
    }
    // Newcomers who have done nothing are nearly never denied.
    let limiter = RateGuard::builder().max_keys(PLACES as usize).build().unwrap();
    let login = Policy::new("login", Quota::sliding_window(5, MINUTE));
    let mut wrongly = 0;
    for n in 0..4 * PLACES {
        wrongly += u32::from(!limiter.check(&login, &Key::user(n)).await.allowed());
    }
    watch.note(format!("{wrongly} of {} newcomers were denied", 4 * PLACES));
    assert!(wrongly <= 4 * PLACES / 100);
}

pub(crate) async fn shared_by_runtimes(watch: &'static Watch) {
    let server = RedisServer::start();
    let url = server.url();
    let (made, limiter) = std::sync::mpsc::channel();
    let stop = Arc::new(AtomicU32::new(0));
    let stopped = Arc::clone(&stop);
    let owner = std::thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let limiter = connected(url).await;
            made.send(limiter).unwrap();
            while stopped.load(Ordering::Relaxed) == 0 {
                std::thread::sleep(Duration::from_millis(150));
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            }
        });
    });
    let limiter = tokio::task::spawn_blocking(move || limiter.recv().unwrap()).await.unwrap();
    let five = Policy::new("five", Quota::sliding_window(5, MINUTE));
    let (mut allowed, mut degraded) = (0, 0);
    for _ in 0..20 {
        let decision = watch.check(&limiter, &five, &Key::global()).await;
        allowed += u32::from(decision.allowed());
        degraded += u32::from(decision.degraded());
    }
    stop.store(1, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || owner.join().unwrap()).await.unwrap();
    watch.note(format!("{allowed} of 20 got in, 5 are allowed; {degraded} were not answered by Redis"));
    assert!((5..=10).contains(&allowed), "{allowed}");
    watch.recovers(&limiter).await;
}
