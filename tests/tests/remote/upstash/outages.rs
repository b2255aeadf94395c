//! The service is not there, or not well.

use super::*;

#[tokio::test]
async fn a_program_starts_without_the_service_and_enforces_when_it_appears() {
    let redis = RedisServer::start();
    let port = free_port();
    let limiter = builder(format!("http://127.0.0.1:{port}")).build().unwrap();
    for _ in 0..50 {
        let decision = limiter.check(&policy(), &Key::global()).await;
        assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::Unreachable));
        assert!(decision.allowed());
    }
    let error = limiter.ready().await.unwrap_err();
    assert!(error.kind() == StoreErrorKind::Unreachable && error.to_string().contains("refused"), "{error}");
    assert_eq!(io_error(&error), Some(std::io::ErrorKind::ConnectionRefused), "{error:?}");
    let server = UpstashServer::start_at(port, &redis);
    enforced_again(&limiter, &Key::global()).await;
    limiter.ready().await.unwrap();
    drop(server);
    until(&limiter, &Key::global(), Decision::degraded).await;
    let _server = UpstashServer::start_at(port, &redis);
    enforced_again(&limiter, &Key::user("again")).await;
}

#[tokio::test]
async fn a_wrong_token_is_named_and_a_corrected_one_is_noticed() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    server.set_token("another");
    let limiter = builder(server.url()).build().unwrap();
    let error = limiter.ready().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Authentication);
    assert!(error.to_string().contains("WRONGPASS"), "{error}");
    server.set_token(TOKEN);
    enforced_again(&limiter, &Key::global()).await;
    server.set_token("another");
    let wrong = |decision: &Decision| decision.degraded_reason() == Some(StoreErrorKind::Authentication);
    until(&limiter, &Key::global(), wrong).await;
    server.set_token(TOKEN);
    enforced_again(&limiter, &Key::global()).await;
}

#[tokio::test]
async fn whatever_the_service_answers_is_an_outage_with_a_name_and_ends_by_itself() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let limiter = builder(server.url()).build().unwrap();
    limiter.ready().await.unwrap();
    let long: &'static str = Box::leak(format!("{{\"result\":\"{}\"}}", "x".repeat(3_000_000)).into_boxed_str());
    for (status, body, kind) in [
        (401, r#"{"error":"WRONGPASS invalid or missing auth token"}"#, StoreErrorKind::Authentication),
        (429, r#"{"error":"ERR too many requests"}"#, StoreErrorKind::Throttled),
        (400, r#"{"error":"ERR max requests limit exceeded. Limit: 5"}"#, StoreErrorKind::Throttled),
        (500, r#"{"error":"ERR internal"}"#, StoreErrorKind::Unreachable),
        (502, "<html>Bad gateway</html>", StoreErrorKind::Unreachable),
        (503, "", StoreErrorKind::Busy),
        (302, "elsewhere", StoreErrorKind::Protocol),
        (200, "\u{0}garbage", StoreErrorKind::Protocol),
        (200, r#"{"result":[1,2]}"#, StoreErrorKind::Protocol),
        (200, long, StoreErrorKind::Protocol),
    ] {
        server.set(Illness::Answers(status, body));
        until(&limiter, &Key::global(), |decision| decision.degraded_reason() == Some(kind)).await;
        // Three in a row, and it is asked no more than the probes do.
        for _ in 0..3 {
            let _ = limiter.check(&policy(), &Key::global()).await;
        }
        let _ = server.asked();
        for _ in 0..50 {
            let decision = limiter.check(&policy(), &Key::user("not asked")).await;
            assert_eq!(decision.degraded_reason(), Some(kind), "{status} {}", &body[..body.len().min(50)]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let asked = server.asked().len();
        assert!(asked <= 7, "{asked} probes for {status} within half a second");
        server.set(Illness::None);
        enforced_again(&limiter, &Key::global()).await;
    }
}

#[tokio::test]
async fn slow_answers_cost_the_deadline_and_soon_nothing() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let limiter = builder(server.url()).build().unwrap();
    limiter.ready().await.unwrap();
    server.set(Illness::Slow(Duration::from_secs(4)));
    for _ in 0..3 {
        let start = Instant::now();
        let decision = limiter.check(&policy(), &Key::global()).await;
        assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::TimedOut));
        assert!(start.elapsed() >= DEADLINE && start.elapsed() < DEADLINE + A_LITTLE);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    for _ in 0..1000 {
        let decision = limiter.check(&policy(), &Key::global()).await;
        assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::TimedOut));
    }
    assert!(start.elapsed() < A_LITTLE, "{:?}", start.elapsed());
    server.set(Illness::None);
    enforced_again(&limiter, &Key::global()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_was_flushed_is_brought_back_without_a_gap() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let limiter = connected_upstash(RateGuard::builder(), &server).await;
    let policy = Policy::new("flushed", Quota::sliding_window(100, MINUTE));
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (limiter, policy) = (limiter.clone(), policy.clone());
        tasks.spawn(async move {
            let mut allowed = 0;
            for _ in 0..30 {
                let decision = limiter.check(&policy, &Key::global()).await;
                assert_eq!(decision.degraded_reason(), None);
                allowed += i32::from(decision.allowed());
            }
            allowed
        });
    }
    for _ in 0..20 {
        let _: String = redis.command(&["SCRIPT", "FLUSH"]);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<i32>(), 100);
}

#[tokio::test]
async fn what_was_done_and_not_answered_is_not_done_again() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let proxy = Proxy::start(server.port());
    let limiter = builder(format!("http://127.0.0.1:{}", proxy.port())).build().unwrap();
    let hundred = Policy::new("once", Quota::sliding_window(100, MINUTE));
    let (mut charged, mut turn) = (0, 0);
    for fault in [Fault::CutAnswers, Fault::HalveAnswers, Fault::Late(DEADLINE * 2), Fault::Garble(7)] {
        for _ in 0..5 {
            proxy.set(Fault::None);
            until(&limiter, &Key::user("well"), |decision| !decision.degraded()).await;
            proxy.set(fault);
            turn += 1;
            let key = Key::user(turn);
            let _ = limiter.check(&hundred, &key).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let units: i64 = redis.command(&["ZCOUNT", &format!("ratelimit:{{user:{turn}}}:once:sw2"), "-inf", "(inf"]);
            assert!(units <= 1, "{fault:?}: one check was charged {units} times");
            charged += units;
        }
    }
    assert!(charged >= 10, "{charged} of {turn} were done");
}

#[tokio::test]
async fn an_answer_that_is_not_the_scripts_is_an_error_and_the_charge_is_one() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let limiter = connected_upstash(RateGuard::builder(), &server).await;
    server.set(Illness::Misreports(r#"{"result":[1,1,1,1,1,1,1]}"#));
    let decision = limiter.check(&policy(), &Key::global()).await;
    assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::Protocol));
    let units: i64 = redis.command(&["ZCOUNT", "ratelimit:{global}:p:sw2", "-inf", "(inf"]);
    assert_eq!(units, 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_fails_no_check() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let proxy = Proxy::start(server.port());
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let limiter = builder(url).deadline(PATIENCE).build().unwrap();
    let thousand = Policy::new("idle", Quota::sliding_window(1000, MINUTE));
    for turn in 1..=5 {
        let decision = limiter.check(&thousand, &Key::global()).await;
        assert_eq!((decision.degraded_reason(), decision.remaining()), (None, 1000 - turn));
        // Old enough not to be taken for a service that hangs up at once.
        tokio::time::sleep(Duration::from_millis(2100)).await;
        proxy.cut();
        // What is sent in the very moment may have arrived, and is not sent again.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        server.asked().iter().filter(|name| *name == "SCRIPT").count(),
        2,
        "no outage, so nothing is tried anew"
    );
}

#[tokio::test]
async fn a_service_that_hangs_up_at_once_is_not_stormed() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let proxy = Proxy::start(server.port());
    let limiter = builder(format!("http://127.0.0.1:{}", proxy.port())).build().unwrap();
    limiter.ready().await.unwrap();
    let before = proxy.connects();
    proxy.set(Fault::Close);
    proxy.cut();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        assert!(limiter.check(&policy(), &Key::global()).await.allowed() || start.elapsed() < Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let connects = proxy.connects() - before;
    assert!(connects <= 20, "{connects} connections in two seconds");
    proxy.set(Fault::None);
    enforced_again(&limiter, &Key::global()).await;
}

/// What an operator is told.
fn told(log: &Log) -> Vec<String> {
    log.lines_with("rateguard:").into_iter().filter(|line| line.contains(" WARN ") || line.contains(" INFO ")).collect()
}

/// What an operator is told, once there are so many lines.
async fn told_after(log: &Log, lines: usize) -> Vec<String> {
    let patience = Instant::now() + PATIENCE;
    while told(log).len() < lines {
        assert!(Instant::now() < patience, "{:?}", told(log));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    told(log)
}

#[tokio::test]
async fn an_outage_is_one_line_its_end_is_one_and_nothing_secret_is_told() {
    let (log, _guard) = Log::capture(Level::TRACE);
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let limiter = builder(server.url()).build().unwrap();
    limiter.ready().await.unwrap();
    for (status, body) in [(500, "AX_sASQgODM5-hunter2-ZjExOGQ"), (401, r#"{"error":"AX_sASQgODM5-hunter2-ZjExOGQ"}"#)]
    {
        let before = told(&log).len();
        server.set(Illness::Answers(status, body));
        until(&limiter, &Key::global(), Decision::degraded).await;
        for _ in 0..100 {
            let _ = limiter.check(&policy(), &Key::global()).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.set(Illness::None);
        let lines = told_after(&log, before + 2).await;
        let [begin, end] = &lines[before..] else { panic!("{lines:?}") };
        let reason = if status == 500 { "reason=\"unreachable\"" } else { "reason=\"authentication\"" };
        assert!(begin.contains("WARN") && begin.contains(reason) && begin.contains(&server.url()), "{begin}");
        assert!(end.contains("INFO") && end.contains("answers again"), "{end}");
    }
    let all = format!("{} {limiter:?} {:?}", log.text(), RateGuard::builder().upstash(server.url(), TOKEN));
    assert!(all.len() > 1000, "everything was captured");
    assert!(!all.contains("hunter2"), "{all}");
}
