//! One name in several places.

use super::*;

#[rate_limit(limit = 5, window = "1h", name = "twice")]
async fn strict() {}

#[rate_limit(limit = 1000, window = 1, name = "twice")]
async fn lax() {}

#[tokio::test]
async fn one_name_with_another_quota_in_another_place_is_said_once_with_both_places() {
    let (log, _guard) = Log::capture(Level::WARN);
    let routes = || Router::new().route("/strict", get(strict)).route("/lax", get(lax));
    let app = App::new(routes());
    for _ in 0..3 {
        app.statuses(&["/strict", "/lax"]).await;
    }
    let lines = log.lines_with("twice");
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains("ERROR") && line.contains("5/1h") && line.contains("1000/1s"), "{line}");
    assert_eq!(line.matches("one_name.rs:").count(), 2, "{line}");

    // A layer's, and a constant's.
    let layer = RateLimitLayer::new(RateGuard::memory()).limit("search", quota("7/1m"), KeyBy::Global);
    let limiter = RateGuard::memory();
    let _ = layer.clone().rule(HttpLimit::from_policy(Policy::new("other", quota("7/1m")), KeyBy::Ip));
    let _ = RateLimitLayer::new(limiter.clone()).limit("search", quota("7/1m"), KeyBy::Global);
    assert!(limiter.check(&SEARCH, &client()).await.allowed());
    let _ = limiter.check(&SEARCH, &client()).await;
    assert_eq!(log.lines_with("search").len(), 1, "{}", log.text());
}

#[tokio::test]
async fn quotas_of_one_name_that_differ_on_purpose_are_no_mistake() {
    let (log, _guard) = Log::capture(Level::WARN);
    let limiter = RateGuard::memory();
    let key = client();
    // Plans: made at run time, or in one place.
    for text in ["5/1h", "50/1h", "500/1h"] {
        let _ = limiter.check(&Policy::try_new("plan", quota(text)).unwrap(), &key).await;
        let _ = limiter.check(&Policy::new("other plan".split(' ').next().unwrap(), quota(text)), &key).await;
        // Layers that are built anew.
        let _ = RateLimitLayer::new(limiter.clone()).limit("wide", quota(text), KeyBy::Global);
    }
    // One quota in two places; one that is set; another algorithm, which counts elsewhere.
    let _ = limiter.check(&SEARCH, &key).await;
    let _ = limiter.check(&Policy::new("search", SEARCH.quota()), &key).await;
    limiter.set_quota("search", quota("1/1h"));
    let _ = limiter.check(&SEARCH, &key).await;
    let _ = limiter.check(&Policy::new("search", quota("token_bucket:10/1m")), &key).await;
    assert_eq!(log.text(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_of_one_bucket_in_one_request_must_all_hold() {
    everywhere(async |limiter| {
        let policy = |text: &str| Policy::try_new("bucket", quota(text)).unwrap();
        for (case, [one, other], fits) in [
            ("shadow", [policy("100/1m").shadow(true), policy("10/1m")], 5),
            ("tight shadow", [policy("1/1m").shadow(true), policy("10/1m")], 5),
            ("lax", [policy("1000/1s"), policy("10/1h")], 5),
            ("neither is the tighter", [policy("8/1s"), policy("10/1h")], 4),
            ("bucket", [policy("token_bucket:100/1s:burst=10"), policy("token_bucket:20/1h")], 5),
        ] {
            for (turn, policies) in [[&one, &other], [&other, &one]].into_iter().enumerate() {
                let key = Key::new("case", format!("{case} {turn}"));
                let checks = policies.map(|policy| Check::new(policy, &key));
                let mut allowed = 0;
                for _ in 0..20 {
                    let decisions = limiter.check_all(&checks).await;
                    for (decision, policy) in decisions.iter().zip(policies) {
                        assert_eq!(decision.quota(), policy.quota(), "each tells its own");
                        assert!(decision.allowed() || !policy.is_shadow());
                        assert!(decision.remaining() <= decision.limit());
                    }
                    allowed += u32::from(decisions.iter().all(Decision::allowed));
                }
                assert_eq!(allowed, fits, "{case}, {turn}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn of_checks_of_one_bucket_that_cannot_be_counted_the_closed_one_decides() {
    let limiter = RateGuard::redis(RedisServer::stopped().url()).unwrap();
    while limiter.ready().await.is_ok() {}
    let [open, closed] = [OnError::Open, OnError::Closed].map(|on_error| SEARCH.on_error(on_error));
    for policies in [[&open, &closed], [&closed, &open]] {
        let key = client();
        let decisions = limiter.check_all(&policies.map(|policy| Check::new(policy, &key))).await;
        assert!(decisions.iter().all(|decision| !decision.allowed()), "{decisions:?}");
    }
}
