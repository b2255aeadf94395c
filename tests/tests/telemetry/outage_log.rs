//! What the log says of a Redis that is not well: one line when it begins and one when it is over, whatever the load.

use std::time::{Duration, Instant};

use rateguard::{Key, ManualClock, Policy, Quota, RateGuard};
use rateguard_tests::{DelayLine, Fault, Log, Proxy, RedisCluster, RedisServer};
use tracing::Level;

const OURS: &str = "rateguard:";

/// Waits until there are so many lines of ours, and returns them.
async fn after(log: &Log, lines: usize) -> Vec<String> {
    let patience = Instant::now() + Duration::from_secs(20);
    while log.lines_with(OURS).len() < lines {
        assert!(Instant::now() < patience, "{:?}", log.lines_with(OURS));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    log.lines_with(OURS)
}

fn policy(name: &'static str) -> Policy {
    Policy::new(name, Quota::sliding_window(1000, Duration::from_secs(60)))
}

async fn load(limiter: &RateGuard, seconds: f32) {
    let end = Instant::now() + Duration::from_secs_f32(seconds);
    while Instant::now() < end {
        for _ in 0..20 {
            let _ = limiter.check(&policy("load"), &Key::global()).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_outage_is_one_line_and_its_end_is_one() {
    let (log, _guard) = Log::capture(Level::INFO);
    let mut server = RedisServer::start();
    let limiter = RateGuard::redis(server.url()).unwrap();
    limiter.ready().await.unwrap();
    load(&limiter, 0.2).await;
    assert!(log.lines_with(OURS).is_empty(), "a start is no news: {:?}", log.lines_with(OURS));
    server.kill();
    load(&limiter, 1.0).await;
    let [began] = &log.lines_with(OURS)[..] else { panic!("{:?}", log.lines_with(OURS)) };
    assert!(began.contains("WARN") && began.contains(&server.port().to_string()), "{began}");
    assert!(began.contains("reason=\"unreachable\""), "{began}");
    server.launch();
    load(&limiter, 3.0).await;
    let lines = after(&log, 2).await;
    assert!(lines[1].contains("INFO") && lines[1].contains("answers again"), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[tokio::test]
async fn a_server_that_throws_everyone_out_again_is_one_outage_and_is_not_stormed() {
    let (log, _guard) = Log::capture(Level::INFO);
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let limiter = RateGuard::redis(proxy.url()).unwrap();
    limiter.ready().await.unwrap();
    let before = proxy.connects();
    proxy.set(Fault::CutAnswers);
    load(&limiter, 4.0).await;
    assert_eq!(log.lines_with(OURS).len(), 1, "{:?}", log.lines_with(OURS));
    let connects = proxy.connects() - before;
    assert!((3..=14).contains(&connects), "{connects} connects in four seconds");
    proxy.set(Fault::None);
    load(&limiter, 3.0).await;
    assert_eq!(after(&log, 2).await.len(), 2);
}

#[tokio::test]
async fn a_wrong_password_is_named_once_and_never_shown() {
    let (log, _guard) = Log::capture(Level::INFO);
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let limiter = RateGuard::redis(format!("redis://:hunter2@127.0.0.1:{}", server.port())).unwrap();
    load(&limiter, 1.0).await;
    let [began] = &log.lines_with(OURS)[..] else { panic!("{:?}", log.lines_with(OURS)) };
    assert!(began.contains("reason=\"authentication\"") && !began.contains("hunter2"), "{began}");
}

#[tokio::test]
async fn an_error_that_only_some_keys_meet_is_told_once_a_reason() {
    let (log, _guard) = Log::capture(Level::INFO);
    let server = RedisServer::start();
    let limiter = RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10)).build().unwrap();
    limiter.ready().await.unwrap();
    let _: String = server.command(&["SET", "ratelimit:{user:taken}:p:sw2", "something else"]);
    for _ in 0..200 {
        assert!(limiter.check(&policy("p"), &Key::user("taken")).await.degraded());
        assert!(!limiter.check(&policy("p"), &Key::user("free")).await.degraded());
    }
    let lines = log.lines_with(OURS);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("reason=\"wrong_type\"") && lines[0].contains("ratelimit:{user:taken}:p:sw2"),
        "{lines:?}"
    );
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..50 {
        assert!(limiter.check(&policy("p"), &Key::user("free")).await.degraded());
    }
    let lines = log.lines_with(OURS);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains("reason=\"out_of_memory\""), "{lines:?}");
}

#[tokio::test]
async fn slow_moments_are_told_once_and_then_once_a_minute_with_their_number() {
    let (log, _guard) = Log::capture(Level::INFO);
    let server = RedisServer::start();
    let line = DelayLine::start(server.port(), Duration::ZERO);
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().redis(line.url()).clock(clock.clone()).build().unwrap();
    while limiter.ready().await.is_err() {}
    // Each too late, and never three in a row: that is no outage.
    let moment = async || {
        line.set(Duration::from_millis(180));
        let reason = limiter.check(&policy("slow"), &Key::global()).await.degraded_reason();
        line.set(Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(180)).await;
        assert!(!limiter.check(&policy("slow"), &Key::global()).await.degraded());
        assert_eq!(reason.map(rateguard::StoreErrorKind::as_str), Some("timed_out"));
    };
    for _ in 0..4 {
        moment().await;
    }
    let lines = log.lines_with(OURS);
    assert!(lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains("reason=\"timed_out\""), "{lines:?}");
    clock.advance(Duration::from_secs(61));
    moment().await;
    let lines = log.lines_with(OURS);
    assert!(lines.len() == 2 && lines[1].contains("timed_out") && lines[1].contains("checks=4"), "{lines:?}");
    assert_eq!(line.connects(), 1, "the breaker stayed closed");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_for_idling_is_made_anew_without_a_word() {
    let (log, _guard) = Log::capture(Level::INFO);
    let server = RedisServer::start_with(&["--timeout", "3"]);
    let limiter = RateGuard::redis(server.url()).unwrap();
    limiter.ready().await.unwrap();
    let clients = || server.command::<String>(&["CLIENT", "LIST"]).lines().count();
    let first: String = server.command(&["CLIENT", "LIST"]);
    let id = |list: &str| list.lines().find(|line| line.contains("resp=3")).map(|line| line[..8].to_owned());
    assert!(id(&first).is_some(), "the newer protocol where there is one: {first}");
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let list: String = server.command(&["CLIENT", "LIST"]);
        if id(&list).is_some() && id(&list) != id(&first) {
            break;
        }
        assert!(Instant::now() < patience, "no new connection: {list} ({})", clients());
    }
    assert!(!limiter.check(&policy("idle"), &Key::global()).await.degraded());
    assert!(log.lines_with(OURS).is_empty(), "{:?}", log.lines_with(OURS));
}

#[tokio::test]
async fn a_server_without_the_newer_protocol_is_spoken_to_in_the_older() {
    let server = RedisServer::start_with(&["--rename-command", "HELLO", ""]);
    let limiter = RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10)).build().unwrap();
    limiter.ready().await.unwrap();
    assert!(!limiter.check(&policy("older"), &Key::global()).await.degraded());
}

#[tokio::test]
async fn a_node_of_a_cluster_that_is_lost_is_one_line_and_its_successor_one() {
    let (log, _guard) = Log::capture(Level::INFO);
    let mut cluster = RedisCluster::start();
    let limiter = RateGuard::redis(cluster.url()).unwrap();
    while limiter.ready().await.is_err() {}
    load(&limiter, 0.2).await;
    assert!(log.lines_with(OURS).is_empty(), "a start is no news: {:?}", log.lines_with(OURS));
    let master = cluster.master_of("global");
    let port = cluster.nodes[master].port().to_string();
    cluster.nodes[master].kill();
    load(&limiter, 1.0).await;
    let [began] = &log.lines_with(OURS)[..] else { panic!("{:?}", log.lines_with(OURS)) };
    assert!(began.contains("WARN") && began.contains(&port) && began.contains("unreachable"), "{began}");
    let patience = Instant::now() + Duration::from_secs(20);
    while limiter.check(&policy("load"), &Key::global()).await.degraded() {
        assert!(Instant::now() < patience);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    load(&limiter, 3.0).await;
    let [_, over] = &log.lines_with(OURS)[..] else { panic!("{:?}", log.lines_with(OURS)) };
    assert!(over.contains("INFO") && over.contains(&port) && over.contains("slots to other nodes"), "{over}");
}

#[tokio::test]
async fn a_cluster_of_which_no_node_answers_is_one_outage() {
    let (log, _guard) = Log::capture(Level::INFO);
    let server = RedisServer::stopped();
    let limiter = RateGuard::redis(format!("redis+cluster://:hunter2@127.0.0.1:{}", server.port())).unwrap();
    load(&limiter, 2.0).await;
    let [began] = &log.lines_with(OURS)[..] else { panic!("{:?}", log.lines_with(OURS)) };
    assert!(began.contains("the cluster of 127.0.0.1:") && !began.contains("hunter2"), "{began}");
}
