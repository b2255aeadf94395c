//! Redis that is not there, goes away, hangs, and comes back.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rateguard::{Key, KeyBy, OnError, Policy, Quota, RateGuard, RateLimitLayer, StoreErrorKind};
use rateguard_tests::{Proxy, RedisServer, io_error, serve};
use reqwest::Client;

const DEADLINE: Duration = Duration::from_millis(100);
/// Scheduling on a busy machine is not the limiter's.
const A_LITTLE: Duration = Duration::from_secs(2);

fn policy() -> Policy {
    Policy::new("p", Quota::sliding_window(2, Duration::from_secs(60)))
}

fn limiter(server: &RedisServer) -> RateGuard {
    RateGuard::builder().redis(server.url()).deadline(DEADLINE).build().unwrap()
}

async fn enforced_again(limiter: &RateGuard, key: &Key) {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let decision = limiter.check(&policy(), key).await;
        // By Redis, and not by what this process has counted meanwhile.
        if !decision.allowed() && !decision.degraded() {
            return;
        }
        assert!(Instant::now() < patience, "limits were not enforced again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_program_starts_with_redis_down_and_enforces_when_it_appears() {
    let mut server = RedisServer::stopped();
    let limiter = limiter(&server);
    for _ in 0..50 {
        let start = Instant::now();
        let decision = limiter.check(&policy(), &Key::global()).await;
        assert!(decision.allowed());
        assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::Unreachable));
        assert!(start.elapsed() < DEADLINE + A_LITTLE);
    }
    let error = limiter.ready().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreachable);
    assert_eq!(io_error(&error), Some(std::io::ErrorKind::ConnectionRefused), "{error:?}");
    server.launch();
    enforced_again(&limiter, &Key::global()).await;
    limiter.ready().await.unwrap();
}

#[tokio::test]
async fn the_first_check_of_a_new_limiter_is_counted() {
    let server = RedisServer::start();
    let limiter = RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10)).build().unwrap();
    let decision = limiter.check(&policy(), &Key::global()).await;
    assert!(!decision.degraded());
    assert_eq!(decision.remaining(), 1);
}

/// What clients were answered.
#[derive(Default)]
struct Tally {
    passed: AtomicUsize,
    denied: AtomicUsize,
    /// Of those that passed.
    degraded: AtomicUsize,
}

/// Waits until there are more than now.
async fn more(count: &AtomicUsize) {
    let (before, patience) = (count.load(Ordering::SeqCst), Instant::now() + Duration::from_secs(20));
    while count.load(Ordering::SeqCst) == before {
        assert!(Instant::now() < patience, "still {before}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_under_load_is_never_a_5xx_and_limits_come_back_with_it() {
    let mut server = RedisServer::start();
    let limiter = limiter(&server);
    limiter.ready().await.unwrap();
    let app = Router::new().route("/", get(|| async { "served" })).layer(RateLimitLayer::new(limiter.clone()).limit(
        "global",
        Quota::sliding_window(10, Duration::from_secs(60)),
        KeyBy::Global,
    ));
    let address = serve(app).await;
    let stop = Arc::new(AtomicBool::new(false));
    let tally = Arc::new(Tally::default());
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (stop, tally) = (Arc::clone(&stop), Arc::clone(&tally));
            tokio::spawn(async move {
                let client = Client::new();
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let response = client.get(format!("http://{address}/")).send().await.unwrap();
                    assert!(start.elapsed() < DEADLINE + A_LITTLE);
                    match response.status().as_u16() {
                        200 => tally.passed.fetch_add(1, Ordering::SeqCst),
                        429 => tally.denied.fetch_add(1, Ordering::SeqCst),
                        other => panic!("answered {other}"),
                    };
                    if response.status() == 200 && !response.headers().contains_key("x-ratelimit-limit") {
                        tally.degraded.fetch_add(1, Ordering::SeqCst);
                        assert!(!response.headers().contains_key("retry-after"));
                    }
                }
            })
        })
        .collect();
    more(&tally.denied).await;
    server.kill();
    more(&tally.degraded).await;
    server.launch();
    enforced_again(&limiter, &Key::user("probe")).await;
    // A denial from before the fault may be remembered for a second.
    let patience = Instant::now() + Duration::from_secs(20);
    while tally.passed.load(Ordering::SeqCst) - tally.degraded.load(Ordering::SeqCst) < 20 {
        assert!(Instant::now() < patience, "the fresh window is not counted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    more(&tally.denied).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let counted = tally.passed.load(Ordering::SeqCst) - tally.degraded.load(Ordering::SeqCst);
    assert_eq!(counted, 20, "ten before, and ten of the fresh window after");
}

#[tokio::test]
async fn a_server_that_hangs_costs_at_most_the_deadline_and_soon_nothing() {
    let server = RedisServer::start();
    let limiter = limiter(&server);
    limiter.ready().await.unwrap();
    signal(&server, "STOP");
    let once = Policy::new("once", Quota::sliding_window(1, Duration::from_secs(60)));
    let (mut waited, mut here, mut denied) = (Duration::ZERO, 0, 0);
    for _ in 0..40 {
        let start = Instant::now();
        let decision = limiter.check(&once, &Key::global()).await;
        assert!(decision.degraded());
        // Until the breaker opens this process counts; then all are allowed.
        assert!(decision.allowed() || here >= 1, "denied after {here} here");
        here += u32::from(decision.allowed());
        denied += u32::from(!decision.allowed());
        assert!(start.elapsed() < DEADLINE + A_LITTLE);
        waited += start.elapsed();
    }
    signal(&server, "CONT");
    assert!(waited < 10 * DEADLINE + A_LITTLE, "after a few, nobody waits: {waited:?}");
    assert!(
        (1..=10).contains(&denied),
        "{denied} denied: the second while Redis is not known to be away, and few more"
    );
    enforced_again(&limiter, &Key::global()).await;
}

fn signal(server: &RedisServer, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &server.pid().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn closed_denies_with_503_and_local_counts_here() {
    let server = RedisServer::stopped();
    let app = |on_error| {
        let limiter = RateGuard::builder().redis(server.url()).on_error(on_error).build().unwrap();
        Router::new().route("/", get(|| async {})).layer(RateLimitLayer::new(limiter).limit(
            "global",
            Quota::sliding_window(2, Duration::from_secs(60)),
            KeyBy::Ip,
        ))
    };
    let closed = serve(app(OnError::Closed)).await;
    let response = reqwest::get(format!("http://{closed}/")).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(!response.headers().contains_key("x-ratelimit-limit"));
    assert!(response.text().await.unwrap().contains("temporary-reduced-capacity"));

    let local = serve(app(OnError::Local)).await;
    for status in [200, 200, 429] {
        let response = reqwest::get(format!("http://{local}/")).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(!response.headers().contains_key("x-ratelimit-limit"), "what this process counts is not the quota");
    }
}

#[tokio::test]
async fn a_share_of_the_quota_is_counted_here_so_that_all_servers_together_allow_one() {
    let server = RedisServer::stopped();
    let limiter = RateGuard::builder().redis(server.url()).on_error(OnError::local_share(3)).build().unwrap();
    let allowed = async |limit, cost| {
        let policy = Policy::new("share", Quota::sliding_window(limit, Duration::from_secs(60)));
        let key = Key::user(format!("{limit} {cost}"));
        let mut allowed = 0;
        while allowed < 20 && limiter.check_cost(&policy, &key, cost).await.allowed() {
            allowed += 1;
        }
        allowed
    };
    assert_eq!(allowed(10, 1).await, 3, "a third, rounded down");
    assert_eq!(allowed(2, 1).await, 1, "but never nothing");
    assert_eq!(allowed(10, 8).await, 1, "a cost within the quota takes the whole share");
    assert_eq!(allowed(10, 11).await, 0, "and one above it is never allowed");
}

#[tokio::test]
async fn a_policys_own_failure_policy_goes_before_the_limiters() {
    let server = RedisServer::stopped();
    let limiter = limiter(&server);
    let closed = policy().on_error(OnError::Closed);
    let decision = limiter.check(&closed, &Key::global()).await;
    assert!(!decision.allowed() && decision.degraded());
    assert!(limiter.check(&policy(), &Key::global()).await.allowed());
}

#[test]
fn a_handle_made_outside_a_runtime_connects_with_the_first_check_and_again_on_the_next_runtime() {
    let server = RedisServer::start();
    let limiter = RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10)).build().unwrap();
    for remaining in [1, 0] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let decision = runtime.block_on(limiter.check(&policy(), &Key::global()));
        assert!(!decision.degraded(), "{:?}", decision.degraded_reason());
        assert_eq!(decision.remaining(), remaining);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_ends_with_the_last_handle() {
    let server = RedisServer::start();
    let limiter = limiter(&server);
    limiter.ready().await.unwrap();
    let connections =
        || server.command::<String>(&["CLIENT", "LIST"]).lines().filter(|line| line.contains("cmd=ping")).count();
    assert_eq!(connections(), 1);
    drop(limiter);
    let patience = Instant::now() + Duration::from_secs(10);
    while connections() > 0 {
        assert!(Instant::now() < patience);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_check_that_nobody_waits_for_leaves_later_answers_right() {
    let server = RedisServer::start();
    let limiter = RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10)).build().unwrap();
    limiter.ready().await.unwrap();
    let hundred = Policy::new("hundred", Quota::sliding_window(100, Duration::from_secs(60)));
    let gone = Key::user("gone");
    for n in 0..100_u64 {
        let check = limiter.check(&hundred, &gone);
        let _ = tokio::time::timeout(Duration::from_micros(n * 3), check).await;
    }
    let before = limiter.check_cost(&hundred, &Key::user("here"), 1).await;
    assert_eq!(before.remaining(), 99);
    let left = limiter.check_cost(&hundred, &gone, 0).await;
    let counted: u64 = server.command(&["ZCOUNT", "ratelimit:{user:gone}:hundred:sw2", "-inf", "(inf"]);
    assert_eq!(u64::from(left.remaining()), 100 - counted);
}

/// As behind a name that follows the master. The old one keeps its connections and rejects every write, inside the script.
#[tokio::test]
async fn a_master_that_became_a_replica_is_left_for_the_one_that_its_address_leads_to() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let way = Proxy::start(old.port());
    let limiter = RateGuard::builder().redis(way.url()).deadline(Duration::from_secs(10)).build().unwrap();
    limiter.ready().await.unwrap();
    let fifty = Policy::new("fifty", Quota::sliding_window(50, Duration::from_secs(60)));
    for _ in 0..5 {
        assert!(!limiter.check(&fifty, &Key::global()).await.degraded());
    }
    way.lead_to(new.port());
    let _: String = old.command(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let decision = limiter.check(&fifty, &Key::global()).await;
        if !decision.degraded() && new.keys().iter().any(|key| key.contains("fifty")) {
            break;
        }
        let reason = decision.degraded_reason();
        assert!(Instant::now() < patience, "still asks the old one: {reason:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut allowed = 1;
    while limiter.check(&fifty, &Key::global()).await.allowed() {
        allowed += 1;
        assert!(allowed <= 50, "the new master's limit is not enforced");
    }
}
