//! A program that is short of time itself, while Redis is well: limits hold, and nothing is taken for an outage.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use futures_util::future::join_all;
use rateguard::{Key, Policy, Quota, RateGuard, RateLimitLayer, rate_limit};
use rateguard_tests::{Log, RedisServer};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tracing::Level;

/// One at a time: what these tests starve is their own program, not each other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn five(name: &'static str) -> Policy {
    Policy::new(name, Quota::sliding_window(5, Duration::from_secs(60)))
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// For how many milliseconds the handler blocks.
static BLOCKS: AtomicU64 = AtomicU64::new(0);

/// Hashes a password, say, on the thread that it runs on.
#[rate_limit(limit = 5, window = 60, key = "global", name = "login")]
async fn login() -> &'static str {
    thread::sleep(Duration::from_millis(BLOCKS.load(Ordering::SeqCst)));
    "welcome"
}

/// Serves the login on this runtime, and sends so many requests at once from threads of their own, each on a connection
/// that is open already. The statuses, and whether the answers had quota headers.
fn at_once(runtime: Runtime, blocks: u64, requests: usize) -> Vec<(u16, bool)> {
    BLOCKS.store(blocks, Ordering::SeqCst);
    let server = RedisServer::start();
    let url = server.url();
    let (stop, stopped) = oneshot::channel::<()>();
    let (told, address) = mpsc::channel();
    let serving = thread::spawn(move || {
        let serve = async move {
            let limiter = RateGuard::redis(url).unwrap();
            while limiter.ready().await.is_err() {}
            let app = Router::new().route("/", get(login)).layer(RateLimitLayer::new(limiter));
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
        };
        runtime.block_on(async {
            let serve = tokio::spawn(serve);
            let _ = stopped.await;
            serve.abort();
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
    });
    let address: SocketAddr = address.recv().unwrap();
    let together = Arc::new(Barrier::new(requests));
    let clients: Vec<_> = (0..requests)
        .map(|_| {
            let together = Arc::clone(&together);
            thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                together.wait();
                stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                (answer.get(9..12).unwrap().parse().unwrap(), answer.contains("x-ratelimit-limit"))
            })
        })
        .collect();
    let answers = clients.into_iter().map(|client| client.join().unwrap()).collect();
    drop(stop);
    serving.join().unwrap();
    answers
}

fn only_five_get_in(answers: &[(u16, bool)]) {
    let with = |wanted| answers.iter().filter(|(status, _)| *status == wanted).count();
    assert_eq!((with(200), with(429)), (5, answers.len() - 5), "of 200, of 429");
    assert!(answers.iter().all(|(_, counted)| *counted), "each was counted by Redis, and told so");
}

#[test]
fn a_handler_that_blocks_both_workers_does_not_raise_the_limit() {
    let _alone = alone();
    only_five_get_in(&at_once(Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(), 150, 100));
}

#[test]
fn a_handler_that_blocks_the_only_worker_does_not_raise_the_limit() {
    let _alone = alone();
    only_five_get_in(&at_once(Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(), 120, 100));
}

#[test]
fn a_handler_that_blocks_a_current_thread_runtime_does_not_raise_the_limit() {
    let _alone = alone();
    only_five_get_in(&at_once(current_thread(), 120, 100));
}

/// Runs meanwhile, on this thread's limiter, whose runtime blocks for this long at a time.
fn while_the_owner_blocks<T>(block: Duration, meanwhile: impl AsyncFnOnce(RateGuard) -> T) -> T {
    let server = RedisServer::start();
    let url = server.url();
    let (made, limiter) = mpsc::channel();
    let (stop, stopped) = mpsc::channel::<()>();
    let owner = thread::spawn(move || {
        current_thread().block_on(async {
            let limiter = RateGuard::redis(url).unwrap();
            while limiter.ready().await.is_err() {}
            made.send(limiter).unwrap();
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                thread::sleep(block);
                // What has come meanwhile is seen to, as between two requests.
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
            }
        });
    });
    let limiter = limiter.recv().unwrap();
    thread::sleep(Duration::from_millis(20));
    let outcome = current_thread().block_on(meanwhile(limiter));
    drop(stop);
    owner.join().unwrap();
    outcome
}

#[test]
fn runtimes_that_share_a_limiter_are_answered_while_one_of_them_blocks() {
    let _alone = alone();
    let decisions = while_the_owner_blocks(Duration::from_millis(150), async |limiter| {
        let mut decisions = Vec::new();
        for _ in 0..8 {
            decisions.push(limiter.check(&five("shared"), &Key::global()).await);
        }
        decisions
    });
    let reasons: Vec<_> = decisions.iter().map(rateguard::Decision::degraded_reason).collect();
    assert_eq!(reasons, [None; 8]);
    assert_eq!(decisions.iter().filter(|decision| decision.allowed()).count(), 5);
}

#[test]
fn a_runtime_that_is_not_driven_allows_at_most_twice_the_limit_and_delays_no_check_for_long() {
    let _alone = alone();
    let (log, _guard) = Log::capture(Level::INFO);
    let degraded = while_the_owner_blocks(Duration::from_secs(4), async |limiter| {
        let mut degraded = 0;
        for _ in 0..2 {
            let start = Instant::now();
            let policy = five("undriven");
            let key = Key::global();
            let decisions = join_all((0..40).map(|_| limiter.check(&policy, &key))).await;
            let allowed = decisions.iter().filter(|decision| decision.allowed()).count();
            assert!(allowed <= 10, "five in Redis and five here at the most: {allowed}");
            assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
            degraded += decisions.iter().filter(|decision| decision.degraded()).count();
        }
        degraded
    });
    let lines = log.lines_with("rateguard:");
    let told = lines.iter().filter(|line| line.contains("WARN")).count();
    assert!(degraded == 0 || (1..=3).contains(&told), "{degraded}: the log says so, and not for each: {lines:?}");
}

#[test]
fn a_runtime_without_timers_is_as_good_as_any() {
    let server = RedisServer::start();
    let limiter = RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10)).build().unwrap();
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        for remaining in (0..5).rev() {
            let decision = limiter.check(&five("timerless"), &Key::global()).await;
            assert_eq!((decision.degraded_reason(), decision.remaining()), (None, remaining));
        }
        assert!(!limiter.check(&five("timerless"), &Key::global()).await.allowed());
        assert!(limiter.peek(&five("timerless"), &Key::global()).await.is_ok());
        limiter.ready().await.unwrap();
    });
}

#[test]
fn a_runtime_without_timers_answers_while_redis_is_away() {
    let server = RedisServer::stopped();
    let limiter = RateGuard::redis(server.url()).unwrap();
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        for _ in 0..5 {
            let start = Instant::now();
            assert!(limiter.check(&five("timerless"), &Key::global()).await.degraded());
            assert!(start.elapsed() < Duration::from_secs(3));
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_test_with_a_paused_clock_is_counted_by_redis() {
    let server = RedisServer::start();
    let limiter = RateGuard::redis(server.url()).unwrap();
    for remaining in (0..5).rev() {
        let decision = limiter.check(&five("paused"), &Key::global()).await;
        assert_eq!((decision.degraded_reason(), decision.remaining()), (None, remaining));
    }
    assert!(!limiter.check(&five("paused"), &Key::global()).await.allowed());
    // A test that moves its clock far ahead.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    for _ in 0..20 {
        assert!(!limiter.check(&five("later"), &Key::user("one")).await.degraded());
    }
    limiter.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_test_with_a_paused_clock_goes_on_while_redis_is_away() {
    let server = RedisServer::stopped();
    let limiter = RateGuard::redis(server.url()).unwrap();
    let start = Instant::now();
    for _ in 0..20 {
        assert!(limiter.check(&five("away"), &Key::global()).await.allowed());
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}
