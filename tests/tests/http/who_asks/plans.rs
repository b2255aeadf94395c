//! Quotas by plan.

use super::*;

#[tokio::test]
async fn a_layers_quota_is_that_of_the_request_and_an_upgrade_keeps_what_was_counted() {
    let server = RedisServer::start();
    for limiter in limiters(&server).await {
        let layer = RateLimitLayer::new(limiter.clone()).rule(by_plan()).headers(Headers::X_RATE_LIMIT | Headers::IETF);
        let app = app(layer, &limiter, Router::new().route("/", get(|| async {})));
        for (limit, status, left) in [(2, 200, 1), (2, 200, 0), (2, 429, 0), (5, 200, 2), (5, 200, 1), (2, 429, 0)] {
            let answer = as_user(&app, "ann", Some(limit)).await;
            assert_eq!((answer.status, answer.number("x-ratelimit-remaining")), (status, Some(left)), "{limit}");
            assert_eq!(answer.number("x-ratelimit-limit"), Some(limit));
            assert_eq!(answer.headers["ratelimit-policy"], format!("\"plan\";q={limit};w=60"));
            assert_eq!(answer.status == 429, answer.body.contains(&format!("No more than {limit} requests")));
        }
        let unlimited = as_user(&app, "ann", None).await;
        assert_eq!((unlimited.status, unlimited.number("x-ratelimit-limit")), (200, None), "not limited here");
        assert_eq!(as_user(&app, "bob", Some(2)).await.status, 200, "another user");
    }
}

#[tokio::test]
async fn what_two_servers_allow_a_client_who_upgrades_is_one_quota() {
    let server = RedisServer::start();
    let mut apps = Vec::new();
    for _ in 0..2 {
        let limiter = connected(RateGuard::builder(), &server).await;
        let layer = RateLimitLayer::new(limiter.clone()).rule(by_plan());
        apps.push(app(layer, &limiter, Router::new().route("/", get(|| async {}))));
    }
    let mut allowed = 0;
    for (i, limit) in [3, 3, 3, 3, 8, 8, 8, 8, 8, 8, 8, 8].into_iter().enumerate() {
        allowed += u32::from(as_user(&apps[i % 2], "ann", Some(limit)).await.status == 200);
    }
    assert_eq!(allowed, 8);
}

#[tokio::test]
async fn set_quota_leaves_quotas_by_request_alone_and_policies_says_so() {
    let (log, _guard) = Log::capture(Level::WARN);
    let limiter = RateGuard::memory();
    let layer = RateLimitLayer::new(limiter.clone()).rule(by_plan()).limit("other", Quota::per_minute(9), KeyBy::Ip);
    let app = app(layer, &limiter, Router::new().route("/", get(|| async {})));
    assert!(!limiter.set_quota("plan", Quota::per_minute(1)), "it does not apply");
    assert!(log.text().contains("each request decides"), "{}", log.text());
    assert_eq!(as_user(&app, "ann", Some(7)).await.number("x-ratelimit-remaining"), Some(6));
    let policies = limiter.policies();
    let [other, plan] = &policies[..] else { panic!("{policies:?}") };
    assert!(plan.is_by_request() && plan.quota().is_none() && !plan.is_overridden());
    assert!(!other.is_by_request() && other.quota() == Some(Quota::per_minute(9)));
}

#[tokio::test]
async fn peek_with_tells_the_count_under_a_plans_quota() {
    let server = RedisServer::start();
    for limiter in limiters(&server).await {
        let layer = RateLimitLayer::new(limiter.clone()).rule(by_plan());
        let app = app(layer, &limiter, Router::new().route("/", get(|| async {})));
        as_user(&app, "ann", Some(7)).await;
        let policy = Policy::try_new("plan", Quota::per_minute(1)).unwrap();
        let told = limiter.peek_with(&policy, Quota::per_minute(7), &Key::user("ann")).await.unwrap();
        assert_eq!((told.remaining(), told.limit()), (6, 7));
    }
}
