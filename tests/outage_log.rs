//! What the log says of a Redis that is not well: one line when it begins and one when it is over, whatever the load.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rateguard::{Key, Policy, Quota, RateGuard};
use rateguard_tests::{Fault, Proxy, RedisCluster, RedisServer};
use tracing::subscriber::DefaultGuard;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// What is logged by this thread, on which the test's runtime runs everything.
    fn capture() -> (Log, DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("rateguard:")).map(str::to_owned).collect()
    }

    async fn after(&self, lines: usize) -> Vec<String> {
        let patience = Instant::now() + Duration::from_secs(20);
        while self.lines().len() < lines {
            assert!(Instant::now() < patience, "{:?}", self.lines());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.lines()
    }
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
    let (log, _guard) = Log::capture();
    let mut server = RedisServer::start();
    let limiter = RateGuard::redis(server.url()).unwrap();
    limiter.ready().await.unwrap();
    load(&limiter, 0.2).await;
    assert!(log.lines().is_empty(), "a start is no news: {:?}", log.lines());
    server.kill();
    load(&limiter, 1.0).await;
    let [began] = &log.lines()[..] else { panic!("{:?}", log.lines()) };
    assert!(began.contains("WARN") && began.contains(&server.port().to_string()), "{began}");
    assert!(began.contains("reason=\"unreachable\""), "{began}");
    server.launch();
    load(&limiter, 3.0).await;
    let lines = log.after(2).await;
    assert!(lines[1].contains("INFO") && lines[1].contains("answers again"), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[tokio::test]
async fn a_server_that_throws_everyone_out_again_is_one_outage_and_is_not_stormed() {
    let (log, _guard) = Log::capture();
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let limiter = RateGuard::redis(proxy.url()).unwrap();
    limiter.ready().await.unwrap();
    let before = proxy.connects();
    proxy.set(Fault::CutAnswers);
    load(&limiter, 4.0).await;
    assert_eq!(log.lines().len(), 1, "{:?}", log.lines());
    let connects = proxy.connects() - before;
    assert!((3..=14).contains(&connects), "{connects} connects in four seconds");
    proxy.set(Fault::None);
    load(&limiter, 3.0).await;
    assert_eq!(log.after(2).await.len(), 2);
}

#[tokio::test]
async fn a_wrong_password_is_named_once_and_never_shown() {
    let (log, _guard) = Log::capture();
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let limiter = RateGuard::redis(format!("redis://:hunter2@127.0.0.1:{}", server.port())).unwrap();
    load(&limiter, 1.0).await;
    let [began] = &log.lines()[..] else { panic!("{:?}", log.lines()) };
    assert!(began.contains("reason=\"authentication\"") && !began.contains("hunter2"), "{began}");
}

#[tokio::test]
async fn an_error_that_only_some_keys_meet_is_told_once_a_reason() {
    let (log, _guard) = Log::capture();
    let server = RedisServer::start();
    let limiter = RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10)).build().unwrap();
    limiter.ready().await.unwrap();
    let _: String = server.command(&["SET", "ratelimit:{user:taken}:p:sw", "something else"]);
    for _ in 0..200 {
        assert!(limiter.check(&policy("p"), &Key::user("taken")).await.degraded());
        assert!(!limiter.check(&policy("p"), &Key::user("free")).await.degraded());
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("reason=\"wrong_type\"") && lines[0].contains("ratelimit:{user:taken}:p:sw"),
        "{lines:?}"
    );
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..50 {
        assert!(limiter.check(&policy("p"), &Key::user("free")).await.degraded());
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains("reason=\"out_of_memory\""), "{lines:?}");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_for_idling_is_made_anew_without_a_word() {
    let (log, _guard) = Log::capture();
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
    assert!(log.lines().is_empty(), "{:?}", log.lines());
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
    let (log, _guard) = Log::capture();
    let mut cluster = RedisCluster::start();
    let limiter = RateGuard::redis(cluster.url()).unwrap();
    while limiter.ready().await.is_err() {}
    load(&limiter, 0.2).await;
    assert!(log.lines().is_empty(), "a start is no news: {:?}", log.lines());
    let master = cluster.master_of("global");
    let port = cluster.nodes[master].port().to_string();
    cluster.nodes[master].kill();
    load(&limiter, 1.0).await;
    let [began] = &log.lines()[..] else { panic!("{:?}", log.lines()) };
    assert!(began.contains("WARN") && began.contains(&port) && began.contains("unreachable"), "{began}");
    let patience = Instant::now() + Duration::from_secs(20);
    while limiter.check(&policy("load"), &Key::global()).await.degraded() {
        assert!(Instant::now() < patience);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    load(&limiter, 3.0).await;
    let [_, over] = &log.lines()[..] else { panic!("{:?}", log.lines()) };
    assert!(over.contains("INFO") && over.contains(&port) && over.contains("slots to others"), "{over}");
}

#[tokio::test]
async fn a_cluster_of_which_no_node_answers_is_one_outage() {
    let (log, _guard) = Log::capture();
    let server = RedisServer::stopped();
    let limiter = RateGuard::redis(format!("redis+cluster://:hunter2@127.0.0.1:{}", server.port())).unwrap();
    load(&limiter, 2.0).await;
    let [began] = &log.lines()[..] else { panic!("{:?}", log.lines()) };
    assert!(began.contains("the cluster of 127.0.0.1:") && !began.contains("hunter2"), "{began}");
}
