//! Metrics as they are scraped.

use super::*;

#[rate_limit(limit = 2, window = 60, name = "t-plain")]
async fn plain() {}

#[rate_limit(limit = 1, window = 60, name = "t-shadow", shadow = true)]
async fn shadow() {}

#[rate_limit(limit = 9, window = 60, name = "t-skips", skip = |req: &Parts| req.uri.query().is_some())]
async fn skips() {}

#[rate_limit(limit = 9, window = 60, name = "t-deferred", key = user, skip = user == "root")]
async fn deferred(Path(user): Path<String>) {
    let _ = &user;
}

#[rate_limit(limit = 9, window = 60, name = "t-wide")]
#[rate_limit(limit = 1, window = 60, name = "t-narrow")]
async fn stacked() {}

#[rate_limit(limit = 9, window = 60, name = "t-key", key = "header:x-api-key")]
async fn by_key() {}

fn routes() -> Router {
    Router::new()
        .route("/plain", get(plain))
        .route("/shadow", get(shadow))
        .route("/skips", get(skips))
        .route("/deferred/{user}", get(deferred))
        .route("/stacked", get(stacked))
        .route("/key", get(by_key))
}

/// The value of a line of what is scraped.
fn scraped(line: &str) -> Option<f64> {
    let text = prometheus().render();
    let found = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    found.map(|value| value.parse().unwrap())
}

fn requests(policy: &str, outcome: &str) -> Option<f64> {
    scraped(&format!("rateguard_requests_total{{policy=\"{policy}\",outcome=\"{outcome}\"}}"))
}

#[tokio::test]
async fn requests_are_counted_by_policy_and_outcome() {
    prometheus();
    let layer = RateLimitLayer::new(RateGuard::memory())
        .limit("t-layer", Quota::sliding_window(100, MINUTE), KeyBy::Ip)
        .skip(|head| head.uri.path() == "/key");
    let app = App::new(Router::new()).map(|_| routes().layer(layer));
    for path in ["/plain", "/plain", "/plain", "/shadow", "/shadow", "/shadow", "/skips", "/skips?a", "/skips?b"] {
        app.get(path).await;
    }
    for path in ["/deferred/bob", "/deferred/root", "/stacked", "/stacked", "/stacked", "/key"] {
        app.get(path).await;
    }
    for (policy, outcome, expected) in [
        ("t-plain", "allowed", 2.0),
        ("t-plain", "denied", 1.0),
        ("t-shadow", "allowed", 1.0),
        ("t-shadow", "shadowed", 2.0),
        ("t-skips", "allowed", 1.0),
        ("t-skips", "skipped", 2.0),
        ("t-deferred", "allowed", 1.0),
        ("t-deferred", "skipped", 1.0),
        ("t-narrow", "allowed", 1.0),
        ("t-narrow", "denied", 2.0),
        ("t-wide", "allowed", 1.0),
        ("t-wide", "not_charged", 2.0),
        ("t-layer", "allowed", 14.0),
        ("t-layer", "skipped", 1.0),
    ] {
        assert_eq!(requests(policy, outcome), Some(expected), "{policy} {outcome}");
    }
    assert!(scraped("rateguard_identity_fallbacks_total") >= Some(1.0), "the request without x-api-key");
    let text = prometheus().render();
    for expected in [
        "# TYPE rateguard_requests_total counter",
        "# HELP rateguard_requests_total Requests by policy and by what it decided",
    ] {
        assert!(text.lines().any(|line| line == expected), "{text}");
    }
    assert!(!text.contains("192.0.2.1") && !text.contains("bob"), "no identity is a label");
}

#[tokio::test]
async fn without_http_checks_are_counted_as_well() {
    prometheus();
    let server = RedisServer::start();
    let policy = Policy::new("t-direct", Quota::sliding_window(2, MINUTE));
    for limiter in [RateGuard::memory(), connected(RateGuard::builder(), &server).await] {
        for _ in 0..2 {
            let _ = limiter.check(&policy, &Key::global()).await;
        }
        let _ = limiter.check_all(&[rateguard::Check::new(&policy, &Key::global())]).await;
    }
    assert_eq!(requests("t-direct", "allowed"), Some(4.0));
    assert_eq!(requests("t-direct", "denied"), Some(2.0));
}

#[tokio::test]
async fn an_outage_shows_as_degraded_requests_errors_by_reason_and_an_open_breaker() {
    prometheus();
    let mut server = RedisServer::start();
    let limiter = connected(RateGuard::builder().on_error(OnError::Open), &server).await;
    let breaker = format!("rateguard_breaker_open{{server=\"127.0.0.1:{}\"}}", server.port());
    let policy = Policy::new("t-outage", Quota::sliding_window(50, MINUTE));
    for _ in 0..3 {
        assert!(!limiter.check(&policy, &Key::global()).await.degraded());
    }
    assert_eq!(scraped(&breaker), Some(0.0), "{}", prometheus().render());
    let took = |what: &str| scraped(&format!("rateguard_check_duration_seconds_{what}"));
    assert!(took("count") >= Some(3.0));
    assert!(took("sum").is_some_and(|seconds| seconds > 0.0));
    assert!(scraped("rateguard_batch_size_count") >= Some(3.0));
    let errors = || scraped("rateguard_store_errors_total{reason=\"unreachable\"}").unwrap_or(0.0);
    let before = errors();
    server.kill();
    let patience = Instant::now() + Duration::from_secs(20);
    while scraped(&breaker) != Some(1.0) {
        assert!(Instant::now() < patience, "{}", prometheus().render());
        let _ = limiter.check(&policy, &Key::global()).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(limiter.check(&policy, &Key::global()).await.degraded());
    assert!(errors() > before);
    let degraded = requests("t-outage", "degraded").unwrap();
    assert!(degraded >= 1.0 && errors() - before >= degraded);
    server.launch();
    while scraped(&breaker) != Some(0.0) {
        assert!(Instant::now() < patience + Duration::from_secs(20), "{}", prometheus().render());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_this_process_counts_for_a_full_redis_shows_as_local_and_by_reason() {
    prometheus();
    let server = RedisServer::start();
    let limiter = connected(RateGuard::builder(), &server).await;
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let policy = Policy::new("t-full", Quota::sliding_window(2, MINUTE));
    for n in 0..5 {
        let decision = limiter.check(&policy, &Key::global()).await;
        assert_eq!((decision.allowed(), decision.degraded()), (n < 2, true));
    }
    assert_eq!(requests("t-full", "local"), Some(2.0));
    assert_eq!(requests("t-full", "local_denied"), Some(3.0));
    assert_eq!(scraped("rateguard_store_errors_total{reason=\"out_of_memory\"}"), Some(5.0));
}

#[tokio::test]
async fn how_much_is_kept_in_this_process_is_measured_once_a_second() {
    prometheus();
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
    let policy = Policy::new("t-sizes", Quota::sliding_window(50, MINUTE));
    let patience = Instant::now() + Duration::from_secs(20);
    // Other tests' limiters write the same gauge.
    let mut clients = 0..;
    while scraped("rateguard_memory_keys").is_none_or(|keys| keys < 500.0) {
        assert!(Instant::now() < patience);
        for _ in 0..500 {
            let _ = limiter.check(&policy, &Key::user(clients.next().unwrap())).await;
        }
        clock.advance(Duration::from_secs(1));
        let _ = limiter.check(&policy, &Key::user(0)).await;
    }
}

#[tokio::test]
async fn checks_that_a_full_store_had_no_place_for_are_counted() {
    prometheus();
    let limiter = RateGuard::builder().max_keys(100).build().unwrap();
    let policy = Policy::new("t-full", Quota::sliding_window(1, MINUTE));
    for client in 0..1000 {
        let _ = limiter.check(&policy, &Key::user(client)).await;
    }
    assert!(scraped("rateguard_memory_overflow_total").is_some_and(|checks| checks >= 800.0));
}

#[tokio::test]
async fn denials_from_memory_are_an_outcome_of_their_own_and_their_number_is_measured() {
    prometheus();
    let (log, _guard) = Log::capture(Level::DEBUG);
    let server = RedisServer::start();
    let clock = ManualClock::new();
    let builder = RateGuard::builder().deny_cache(MINUTE).clock(clock.clone());
    let limiter = connected(builder, &server).await;
    let policy = Policy::new("t-remembered", Quota::sliding_window(1, Duration::from_secs(3600)));
    for _ in 0..5 {
        let _ = limiter.check(&policy, &Key::user(1)).await;
    }
    clock.advance(Duration::from_secs(2));
    let _ = limiter.check(&policy, &Key::user(1)).await;
    for (outcome, expected) in [("allowed", 1.0), ("denied", 1.0), ("deny_cache", 4.0)] {
        assert_eq!(requests("t-remembered", outcome), Some(expected), "{outcome}");
    }
    assert_eq!(scraped("rateguard_deny_cache_entries"), Some(1.0));
    let from_memory: Vec<String> = denials(&log).iter().map(|line| field(line, "from_deny_cache").to_owned()).collect();
    assert_eq!(from_memory, ["false", "true", "true", "true", "true"]);
}

#[tokio::test]
async fn names_made_while_it_runs_are_not_labels_without_end() {
    prometheus();
    let limiter = RateGuard::memory();
    for number in 0..1100 {
        let policy = Policy::try_new(format!("t-made-{number}"), Quota::sliding_window(1, MINUTE)).unwrap();
        let _ = limiter.check(&policy, &Key::global()).await;
    }
    let made = prometheus().render().lines().filter(|line| line.contains("policy=\"t-made-")).count();
    assert!((900..=1000).contains(&made), "{made}");
    assert!(requests("other", "allowed") >= Some(100.0));
    // Those written into the program always have their own.
    let _ = limiter.check(&Policy::new("t-written", Quota::sliding_window(1, MINUTE)), &Key::global()).await;
    assert_eq!(requests("t-written", "allowed"), Some(1.0));
}
