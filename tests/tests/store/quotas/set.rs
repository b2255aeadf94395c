//! Quotas that are set while the program runs.

use super::*;

#[tokio::test]
async fn a_quota_that_is_set_applies_at_once_to_attributes_and_layers_and_what_was_counted_stays_counted() {
    everywhere(async |limiter| {
        let layer = RateLimitLayer::new(limiter.clone()).limit("wide", quota("100/1m"), KeyBy::Global);
        let app = App::new(Router::new()).map(|_| routes().layer(layer.headers(Headers::X_RATE_LIMIT | Headers::IETF)));
        for path in ["/search", "/deferred"] {
            let first = app.get(path).await;
            assert_eq!((first.number("x-ratelimit-limit"), first.number("x-ratelimit-remaining")), (Some(3), Some(2)));
        }
        for name in ["search", "deferred"] {
            assert!(limiter.set_quota(name, quota("5/1m")), "{name} is known");
        }
        for path in ["/search", "/deferred"] {
            let raised = app.get(path).await;
            assert_eq!(
                (raised.number("x-ratelimit-limit"), raised.number("x-ratelimit-remaining")),
                (Some(5), Some(3))
            );
            assert!(raised.headers["ratelimit-policy"].to_str().unwrap().ends_with(";q=5;w=60"));
        }
        for name in ["search", "deferred"] {
            limiter.set_quota(name, quota("1/1m"));
        }
        for path in ["/search", "/deferred"] {
            let lowered = app.get(path).await;
            assert_eq!((lowered.status, lowered.number("x-ratelimit-limit")), (429, Some(1)));
            assert!(lowered.body.contains("No more than 1 request in 1 minute"), "{}", lowered.body);
        }
        limiter.set_quota("wide", quota("1/1m"));
        assert_eq!(app.get("/mild").await.status, 429, "the layer's own");
        assert!(limiter.unset_quota("wide") && limiter.unset_quota("search"));
        assert!(!limiter.unset_quota("search"), "there is none any more");
        let written = app.get("/search").await;
        assert_eq!((written.status, written.number("x-ratelimit-remaining")), (200, Some(0)));
    })
    .await;
}

#[tokio::test]
async fn without_http_it_applies_to_every_way_to_ask() {
    everywhere(async |limiter| {
        assert!(!limiter.set_quota("search", quota("2/1m")), "no policy of this name is known");
        let first = limiter.check(&SEARCH, &client()).await;
        assert_eq!((first.limit(), first.remaining(), first.quota()), (2, 1, quota("2/1m")));
        let all = limiter.check_all(&[rateguard::Check::new(&SEARCH, &client())]).await;
        assert_eq!((all[0].limit(), all[0].remaining()), (2, 0));
        let peeked = limiter.peek(&SEARCH, &client()).await.unwrap();
        assert_eq!((peeked.limit(), peeked.allowed()), (2, false));
        limiter.refund(&SEARCH, &client(), 1).await.unwrap();
        assert_eq!(limiter.peek(&SEARCH, &client()).await.unwrap().remaining(), 1);
        // Another algorithm has a count of its own, under another key.
        limiter.set_quota("search", quota("token_bucket:2/1m:burst=9"));
        let bucket = limiter.check(&SEARCH, &client()).await;
        assert_eq!((bucket.quota().algorithm(), bucket.remaining()), (Algorithm::TokenBucket, 8));
        assert_eq!(limiter.peek(&SEARCH, &client()).await.unwrap().remaining(), 8);
        limiter.reset(&SEARCH, &client()).await.unwrap();
        assert_eq!(limiter.peek(&SEARCH, &client()).await.unwrap().remaining(), 9);
        limiter.set_quota("search", quota("2/1m"));
        assert_eq!(limiter.peek(&SEARCH, &client()).await.unwrap().remaining(), 1, "what was counted is still there");
    })
    .await;
}

#[tokio::test]
async fn a_charge_is_given_back_where_it_was_made() {
    everywhere(async |limiter| {
        let (begun, go_on) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let routes = {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            routes().layer(axum::middleware::from_fn(move |request, next: axum::middleware::Next| {
                let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
                async move {
                    begun.notify_one();
                    let response = next.run(request).await;
                    go_on.notified().await;
                    response
                }
            }))
        };
        let app = App::with(limiter.clone(), routes);
        let policy = Policy::new("mild", quota("3/1m"));
        limiter.set_quota("mild", quota("fixed_window:3/1m"));
        let request = tokio::spawn(async move { app.get("/mild").await.status });
        begun.notified().await;
        while limiter.peek(&policy, &client()).await.unwrap().remaining() != 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Meanwhile a client is counted by another algorithm, and gains nothing.
        limiter.unset_quota("mild");
        assert_eq!(limiter.check(&policy, &client()).await.remaining(), 2);
        go_on.notify_one();
        assert_eq!(request.await.unwrap(), 200);
        assert_eq!(limiter.peek(&policy, &client()).await.unwrap().remaining(), 2);
        limiter.set_quota("mild", quota("fixed_window:3/1m"));
        assert_eq!(limiter.peek(&policy, &client()).await.unwrap().remaining(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_window_that_is_made_longer_or_shorter_is_kept() {
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
    for _ in 0..3 {
        assert!(limiter.check(&SEARCH, &client()).await.allowed());
    }
    clock.advance(Duration::from_secs(30));
    limiter.set_quota("search", quota("3/20s"));
    assert!(limiter.check(&SEARCH, &client()).await.allowed(), "what is older than 20 seconds counts no more");
    limiter.set_quota("search", quota("3/1h"));
    // What was charged when the window was a minute is kept for a minute, and counts in the hour.
    let denied = limiter.check(&SEARCH, &client()).await;
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(3570)));
    clock.advance(Duration::from_secs(3570));
    assert_eq!(limiter.check(&SEARCH, &client()).await.remaining(), 1);
}

#[tokio::test]
async fn policies_are_known_when_their_layer_is_made_or_their_handler_is_asked() {
    let limiter = RateGuard::builder().quota("search", quota("9/1m")).quota("absent", quota("1/1m")).build().unwrap();
    assert!(limiter.policies().is_empty());
    let layer = RateLimitLayer::new(limiter.clone()).limit("global", quota("100/1m"), KeyBy::Global);
    let app = App::new(Router::new()).map(|_| routes().layer(layer));
    let known = || limiter.policies().iter().map(|policy| policy.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(known(), ["global"]);
    assert_eq!(limiter.unmatched_quotas(), ["absent", "search"]);
    for path in ["/search", "/deferred", "/search"] {
        app.get(path).await;
    }
    assert_eq!(known(), ["deferred", "global", "search"]);
    assert_eq!(limiter.unmatched_quotas(), ["absent"]);
    let policies = limiter.policies();
    assert_eq!((policies[1].quota(), policies[1].is_overridden()), (Some(quota("100/1m")), false));
    assert_eq!((policies[2].quota(), policies[2].is_overridden()), (Some(quota("9/1m")), true));
    assert_eq!(policies[2].default_quota(), Some(quota("3/1m")));
    // Names that were made at run time, and more than are remembered by their place.
    for number in 0..1000 {
        let policy = Policy::try_new(format!("made-{number}"), quota("1/1m")).unwrap();
        let _ = limiter.check(&policy, &client()).await;
        let _ = limiter.check(&policy, &client()).await;
    }
    assert_eq!(limiter.policies().len(), 1003);
}

#[tokio::test]
async fn names_without_end_do_not_fill_the_memory_and_are_limited_all_the_same() {
    let limiter = RateGuard::memory();
    for number in 0..10_050 {
        let policy = Policy::try_new(format!("made-{number}"), quota("1/1m")).unwrap();
        assert!(limiter.check(&policy, &client()).await.allowed());
        assert!(!limiter.check(&policy, &client()).await.allowed());
    }
    assert_eq!(limiter.policies().len(), 10_000);
}

#[tokio::test]
async fn a_name_that_no_policy_has_changes_no_limit_and_is_logged_once_with_the_known_names() {
    let (log, _guard) = Log::capture(Level::INFO);
    let warnings = || log.lines_with("WARN");
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().clock(clock.clone()).quota("serach", quota("1000/1m")).build().unwrap();
    let app = App::with(limiter.clone(), routes());
    assert_eq!(app.statuses(&["/search", "/search", "/search", "/search"]).await, [200, 200, 200, 429]);
    clock.advance(Duration::from_secs(59));
    app.get("/deferred").await;
    assert!(warnings().is_empty());
    clock.advance(Duration::from_secs(1));
    for _ in 0..5 {
        app.get("/deferred").await;
    }
    let told = warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("unknown=serach") && told[0].contains("known=deferred, search"), "{told:?}");
    assert!(!limiter.set_quota("gloabl", quota("1/1m")));
    clock.advance(MINUTE);
    app.get("/deferred").await;
    assert_eq!(warnings().len(), 2, "{:?}", warnings());
    assert!(warnings()[1].contains("unknown=gloabl, serach"));
}
