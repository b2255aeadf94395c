//! A slow moment is not an outage: what a Redis that is there does not count in time, or has no room for, is counted in this
//! process.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rateguard::{Decision, Key, OnError, Policy, Quota, RateGuard, RateLimitLayer, StoreErrorKind, rate_limit};
use rateguard_tests::{App, DelayLine, RedisServer, request};
use tower::ServiceExt;

const MINUTE: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_millis(100);

fn policy(name: &'static str, limit: u32) -> Policy {
    Policy::new(name, Quota::sliding_window(limit, MINUTE))
}

/// A limiter behind a proxy that can be slow.
struct Slow {
    server: RedisServer,
    line: DelayLine,
    limiter: RateGuard,
}

impl Slow {
    async fn start(on_error: OnError) -> Slow {
        let server = RedisServer::start();
        let line = DelayLine::start(server.port(), Duration::ZERO);
        let limiter = RateGuard::builder().redis(line.url()).deadline(DEADLINE).on_error(on_error);
        // Asks each time, also where it is certain what Redis would say.
        let limiter = limiter.deny_cache(Duration::ZERO).build().unwrap();
        let slow = Slow { server, line, limiter };
        slow.is_well().await;
        slow
    }

    /// Does this in a slow moment, and lets it pass: the breaker stays closed.
    async fn moment<T>(&self, what: impl AsyncFnOnce() -> T) -> T {
        // What writes, or may, waits until it is over.
        let _: String = self.server.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
        let outcome = what().await;
        let _: String = self.server.command(&["CLIENT", "UNPAUSE"]);
        self.is_well().await;
        outcome
    }

    async fn is_well(&self) {
        let patience = Instant::now() + Duration::from_secs(20);
        while let Err(error) = self.limiter.ready().await {
            assert!(Instant::now() < patience, "{error}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_slow_moments_a_client_gets_at_most_twice_the_limit_and_a_429_only_for_a_full_quota() {
    let slow = Slow::start(OnError::Open).await;
    let five = policy("five", 5);
    let (mut allowed, mut locally, mut degraded) = (0, 0, 0);
    let mut see = |decision: &Decision| {
        if decision.degraded() {
            degraded += 1;
            assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::TimedOut));
            assert!(decision.allowed() || locally >= 5, "a 429 after {locally} here");
            locally += u32::from(decision.allowed());
        }
        allowed += u32::from(decision.allowed());
    };
    for _ in 0..12 {
        see(&slow.moment(async || slow.limiter.check(&five, &Key::global()).await).await);
        see(&slow.limiter.check(&five, &Key::global()).await);
    }
    assert!(degraded >= 10, "{degraded} of 12 were too late");
    assert!((5..=10).contains(&allowed), "{allowed}: five in Redis and five here at the most");
    let other = slow.moment(async || slow.limiter.check(&five, &Key::user("another")).await).await;
    assert!(other.allowed() && other.degraded(), "others have their own quota");
    assert_eq!(slow.line.connects(), 1, "the breaker stayed closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_slow_moment_closed_stays_closed_and_costs_above_the_limit_are_denied() {
    let slow = Slow::start(OnError::Open).await;
    let closed = policy("closed", 5).on_error(OnError::Closed);
    let [one, many] = slow
        .moment(async || {
            [
                slow.limiter.check(&closed, &Key::global()).await,
                slow.limiter.check_cost(&policy("many", 5), &Key::global(), 6).await,
            ]
        })
        .await;
    assert!(!one.allowed() && one.degraded());
    assert!(!many.allowed(), "six of five");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_pauses_now_and_then_allows_at_most_twice_the_limit() {
    let server = RedisServer::start();
    let builder = RateGuard::builder().redis(server.url()).deadline(DEADLINE).deny_cache(Duration::ZERO);
    let limiter = builder.build().unwrap();
    while limiter.ready().await.is_err() {}
    let (mut allowed, mut degraded) = (0, 0);
    for _ in 0..10 {
        let _: String = server.command(&["CLIENT", "PAUSE", "170", "ALL"]);
        let paused = Instant::now();
        while paused.elapsed() < Duration::from_millis(250) {
            let decision = limiter.check(&policy("five", 5), &Key::global()).await;
            allowed += u32::from(decision.allowed());
            degraded += u32::from(decision.degraded());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    assert!(degraded >= 8, "{degraded} were too late");
    assert!((5..=10).contains(&allowed), "{allowed}: five in Redis and five here at the most");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_in_a_slow_moment_gets_the_limit_once() {
    let slow = Slow::start(OnError::Open).await;
    let policy = policy("crowd", 5);
    let decisions = slow
        .moment(async || {
            let key = Key::global();
            futures_util::future::join_all((0..200).map(|_| slow.limiter.check(&policy, &key))).await
        })
        .await;
    let allowed = decisions.iter().filter(|decision| decision.allowed()).count();
    assert!((5..=10).contains(&allowed), "{allowed} of 200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_is_counted_for_here_also_for_clients_that_it_has_no_room_for() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let limiter = RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10)).build().unwrap();
    limiter.ready().await.unwrap();
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let two = policy("two", 2);
    for client in 0..50 {
        for expected in [true, true, false, false] {
            let decision = limiter.check(&two, &Key::user(client)).await;
            assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::OutOfMemory));
            assert_eq!(decision.allowed(), expected, "client {client}");
            if let Some(wait) = decision.retry_after() {
                assert!(!wait.is_zero() && wait <= MINUTE);
            }
        }
    }
    let closed = two.clone().on_error(OnError::Closed);
    assert!(!limiter.check(&closed, &Key::user("new")).await.allowed(), "closed stays closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_denial_never_enters_the_deny_cache() {
    let server = RedisServer::start();
    let builder = RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10)).deny_cache(MINUTE);
    let limiter = builder.build().unwrap();
    limiter.ready().await.unwrap();
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let one = policy("one", 1);
    assert!(limiter.check(&one, &Key::global()).await.allowed());
    for _ in 0..3 {
        assert!(!limiter.check(&one, &Key::global()).await.allowed(), "the quota of this process is used");
    }
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    let decision = limiter.check(&one, &Key::global()).await;
    assert!(decision.allowed() && !decision.degraded(), "Redis has counted nothing, and is asked");
    assert!(!limiter.check(&one, &Key::global()).await.allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_slow_moment_peek_refund_and_reset_act_on_what_is_counted_here() {
    let slow = Slow::start(OnError::Open).await;
    let (three, key) = (policy("three", 3), Key::global());
    // One a moment: three in a row would be an outage.
    for _ in 0..3 {
        assert!(slow.moment(async || slow.limiter.check(&three, &key).await).await.allowed());
    }
    let check = async || slow.moment(async || slow.limiter.check(&three, &key).await).await;
    let denied = check().await;
    assert!(!denied.allowed() && denied.degraded(), "all three are used here");
    let seen = slow.moment(async || slow.limiter.peek(&three, &key).await).await.unwrap();
    assert!(!seen.allowed() && seen.remaining() == 0, "{seen:?}");
    slow.moment(async || slow.limiter.refund(&three, &key, 1).await).await.unwrap();
    assert!(check().await.allowed(), "one was given back");
    assert!(!check().await.allowed());
    slow.moment(async || slow.limiter.reset(&three, &key).await).await.unwrap();
    assert!(check().await.allowed(), "all were given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_this_process_counts_for_a_store_that_is_away_peek_refund_and_reset_act_on_that() {
    let server = RedisServer::stopped();
    let limiter = RateGuard::builder().redis(server.url()).on_error(OnError::Local).build().unwrap();
    let (three, key) = (policy("three", 3), Key::global());
    let all = async || {
        [limiter.check(&three, &key).await, limiter.check(&three, &key).await, limiter.check(&three, &key).await]
    };
    assert!(all().await.iter().all(Decision::allowed));
    assert!(!limiter.check(&three, &key).await.allowed());
    assert_eq!(limiter.peek(&three, &key).await.unwrap().remaining(), 0);
    limiter.refund(&three, &key, 1).await.unwrap();
    assert_eq!(limiter.peek(&three, &key).await.unwrap().remaining(), 1);
    assert!(limiter.check(&three, &key).await.allowed());
    limiter.reset(&three, &key).await.unwrap();
    assert!(all().await.iter().all(Decision::allowed));
    // Where nothing is counted here, there is still nothing to say.
    let open = three.clone().on_error(OnError::Open);
    assert!(limiter.peek(&open, &Key::user("open")).await.is_err());
}

/// Counts failures only.
#[rate_limit(limit = 3, window = 60, key = "global", refund_if = |response| response.status().is_success())]
async fn only_failures() {}

#[rate_limit(limit = 3, window = 60, key = "global", refund_if = |response| response.status().is_server_error())]
async fn only_successes() {}

fn routes() -> Router {
    Router::new().route("/failures", get(only_failures)).route("/successes", get(only_successes))
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_that_were_counted_here_are_given_back_here() {
    let away = RedisServer::stopped();
    let local = RateGuard::builder().redis(away.url()).on_error(OnError::Local).build().unwrap();
    let full = RedisServer::start();
    let open = RateGuard::builder().redis(full.url()).deadline(Duration::from_secs(10)).build().unwrap();
    open.ready().await.unwrap();
    let _: String = full.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for (name, limiter) in [("away, local", local), ("full, open", open)] {
        let app = App::with(limiter, routes());
        assert_eq!(app.statuses(&["/failures"; 10]).await, [200; 10], "{name}: successes are given back");
        assert_eq!(app.statuses(&["/successes"; 5]).await, [200, 200, 200, 429, 429], "{name}: these are not");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_that_were_counted_here_in_a_slow_moment_are_given_back_here() {
    let slow = Slow::start(OnError::Open).await;
    let app = routes().layer(RateLimitLayer::new(slow.limiter.clone()));
    let mut statuses = Vec::new();
    for path in ["/failures", "/failures", "/failures", "/failures", "/failures"] {
        // Redis may have charged late checks too, and such a charge stays. So each round begins with a fresh key there.
        let _: String = slow.server.command(&["FLUSHALL"]);
        let response = slow.moment(async || app.clone().oneshot(request(path)).await.unwrap()).await;
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200; 5]);
    // And what was not given back counts.
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let response = slow.moment(async || app.clone().oneshot(request("/successes")).await.unwrap()).await;
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_here_and_did_not_run_in_redis_is_not_sent_there_again() {
    let slow = Slow::start(OnError::Open).await;
    let policy = policy("again", 5);
    // Redis will answer that it does not know the script, after the request has stopped waiting.
    let _: String = slow.server.command(&["SCRIPT", "FLUSH"]);
    let decision = slow.moment(async || slow.limiter.check(&policy, &Key::user(1)).await).await;
    assert!(decision.degraded());
    slow.is_well().await;
    assert!(slow.server.keys().iter().all(|key| !key.contains(":again:")), "{:?}", slow.server.keys());
}
