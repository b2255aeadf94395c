//! With one Redis, and with the memory store.

use super::*;

#[test]
fn a_refund_that_nobody_waits_for_is_in_redis_when_close_returns() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let runtime = current_thread();
    let limiter = RateGuard::builder().redis(proxy.url()).deadline(Duration::from_secs(10)).build().unwrap();
    let other = limiter.clone();
    runtime.block_on(async {
        limiter.ready().await.unwrap();
        proxy.set(Fault::Late(Duration::from_millis(50)));
        begin_refund(&limiter).await;
        limiter.close().await;
        assert_closed(&other).await;
    });
    drop(runtime);
    let peek = current_thread().block_on(async {
        connected(RateGuard::builder(), &server).await.peek(&TEN, &alice()).await.unwrap().remaining()
    });
    assert_eq!(peek, 10);
    assert_no_connections(&server);
}

#[test]
fn checks_before_close_are_answered_by_redis_and_those_after_it_by_the_failure_policy() {
    let server = RedisServer::start();
    let (log, _guard) = Log::capture(Level::INFO);
    current_thread().block_on(async {
        let limiter = connected(RateGuard::builder(), &server).await;
        let (ten, alice) = (TEN, alice());
        let mut before: Vec<_> = (0..200).map(|_| Box::pin(limiter.check(&ten, &alice))).collect();
        for check in &mut before {
            assert!(poll!(check).is_pending());
        }
        limiter.close().await;
        let decisions = join_all(before).await;
        assert!(decisions.iter().all(|decision| !decision.degraded()));
        assert_eq!(decisions.iter().filter(|decision| decision.allowed()).count(), 10);
        assert_no_connections(&server);

        let after = |on_error| {
            let (limiter, policy) = (limiter.clone(), Policy::new("after", TEN.quota()).on_error(on_error));
            let alice = alice.clone();
            async move {
                let mut allowed = 0;
                for _ in 0..20 {
                    let decision = limiter.check(&policy, &alice).await;
                    assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::Closed));
                    allowed += u32::from(decision.allowed());
                }
                allowed
            }
        };
        assert_eq!(after(OnError::Open).await, 20);
        assert_eq!(after(OnError::Closed).await, 0);
        assert_eq!(after(OnError::Local).await, 10);
        assert!(limiter.peek(&TEN, &alice).await.is_err() && limiter.reset(&TEN, &alice).await.is_err());
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_no_connections(&server);
    });
    assert_eq!(log.lines_with("rateguard").len(), 1, "{}", log.text());
    assert_eq!(log.lines_with("INFO").len(), 1, "{}", log.text());
}

#[tokio::test]
async fn a_server_that_hangs_does_not_hold_close_longer_than_the_deadline() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let limiter = RateGuard::builder().redis(proxy.url()).deadline(DEADLINE).build().unwrap();
    limiter.ready().await.unwrap();
    proxy.set(Fault::Silence);
    let mut checks = JoinSet::new();
    for _ in 0..10 {
        let limiter = limiter.clone();
        checks.spawn(async move { limiter.check(&TEN, &alice()).await });
    }
    tokio::time::sleep(DEADLINE / 2).await;
    let started = Instant::now();
    limiter.close().await;
    assert!(started.elapsed() < DEADLINE + MARGIN, "{:?}", started.elapsed());
    for decision in checks.join_all().await {
        assert!(decision.degraded() && decision.allowed());
    }
    assert_closed(&limiter).await;
    assert!(started.elapsed() < DEADLINE + MARGIN);
    proxy.set(Fault::None);
    assert_no_connections(&server);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_not_tried_again_after_close() {
    let mut server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let limiter = RateGuard::builder().redis(proxy.url()).deadline(DEADLINE).build().unwrap();
    limiter.ready().await.unwrap();
    server.kill();
    proxy.set(Fault::Close);
    proxy.cut();
    while limiter.ready().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let started = Instant::now();
    limiter.close().await;
    assert!(started.elapsed() < MARGIN);
    // The proxy counts a connection a moment after it was made.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let connects = proxy.connects();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(proxy.connects(), connects);
    assert_closed(&limiter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn close_can_be_called_twice_at_once_and_while_checks_are_made() {
    let server = RedisServer::start();
    let limiter = connected(RateGuard::builder(), &server).await;
    let mut checks = JoinSet::new();
    for _ in 0..8 {
        let limiter = limiter.clone();
        checks.spawn(async move {
            let mut reasons = Vec::new();
            while reasons.last() != Some(&Some(StoreErrorKind::Closed)) {
                reasons.push(limiter.check(&TEN, &Key::user("crowd")).await.degraded_reason());
            }
            reasons.pop();
            reasons
        });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut closing = JoinSet::new();
    for _ in 0..4 {
        let limiter = limiter.clone();
        closing.spawn(async move { limiter.close().await });
    }
    closing.join_all().await;
    limiter.close().await;
    for reasons in checks.join_all().await {
        assert!(reasons.iter().all(Option::is_none), "every check was answered by Redis, until close");
    }
    assert_closed(&limiter).await;
    assert_no_connections(&server);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits without any runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn close_can_be_called_on_another_runtime_without_one_and_after_the_runtime_has_ended() {
    let server = RedisServer::start();
    let builder = || RateGuard::builder().deadline(DEADLINE).redis(server.url());
    let never_used = builder().build().unwrap();
    block_on(never_used.close());

    let working = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for without_runtime in [false, true] {
        let limiter = working.block_on(async {
            let limiter = builder().build().unwrap();
            limiter.ready().await.unwrap();
            limiter
        });
        if without_runtime {
            block_on(limiter.close());
        } else {
            current_thread().block_on(limiter.close());
        }
        assert_no_connections(&server);
        block_on(assert_closed(&limiter));
    }

    // A runtime that is not driven, and one that has ended.
    for has_ended in [false, true] {
        let idle = current_thread();
        let limiter = idle.block_on(async {
            let limiter = builder().build().unwrap();
            limiter.ready().await.unwrap();
            limiter
        });
        let _idle = (!has_ended).then_some(idle);
        let started = Instant::now();
        block_on(limiter.close());
        assert!(started.elapsed() < DEADLINE + MARGIN);
        current_thread().block_on(assert_closed(&limiter));
    }
}

#[tokio::test]
async fn a_memory_store_has_nothing_to_close() {
    let limiter = RateGuard::memory();
    limiter.close().await;
    assert!(!limiter.check(&TEN, &alice()).await.degraded());
    limiter.ready().await.unwrap();
}
