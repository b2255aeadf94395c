//! Limits of identities on different nodes.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn many_identities_at_once_each_get_exactly_their_limit() {
    let cluster = RedisCluster::start();
    let limiters = [connected(cluster.url()).await, connected(cluster.url()).await];
    let mut checks = JoinSet::new();
    for turn in 0..20 {
        for n in 0..200 {
            let limiter = limiters[turn % 2].clone();
            checks.spawn(async move { (n, limiter.check(&policy("each", 7), &user(n)).await) });
        }
    }
    let mut allowed: HashMap<u32, u32> = HashMap::new();
    while let Some(checked) = checks.join_next().await {
        let (n, decision) = checked.unwrap();
        assert_eq!(decision.degraded_reason(), None);
        *allowed.entry(n).or_default() += u32::from(decision.allowed());
    }
    assert_eq!(allowed.len(), 200);
    assert!(allowed.values().all(|count| *count == 7), "{allowed:?}");
    let nodes = cluster.nodes.iter().take(3).map(|node| node.keys().len());
    assert!(nodes.clone().all(|keys| keys > 20) && nodes.sum::<usize>() == 200, "every node has its share");
    assert_eq!(limiters[0].peek(&policy("each", 7), &user(3)).await.unwrap().remaining(), 0);
    limiters[0].refund(&policy("each", 7), &user(3), 2).await.unwrap();
    assert_eq!(limiters[1].peek(&policy("each", 7), &user(3)).await.unwrap().remaining(), 2);
    limiters[0].reset(&policy("each", 7), &user(3)).await.unwrap();
    assert_eq!(limiters[0].check(&policy("each", 7), &user(3)).await.remaining(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_on_different_nodes_are_charged_together_or_not_at_all() {
    let cluster = RedisCluster::start();
    let limiter = connected(cluster.url()).await;
    let users = one_of_each(&cluster);
    let policies = [policy("a", 10), policy("b", 3), policy("c", 10)];
    let checks: Vec<Check<'_>> = policies.iter().zip(&users).map(|(policy, key)| Check::new(policy, key)).collect();
    let remaining = |decisions: &[Decision]| decisions.iter().map(Decision::remaining).collect::<Vec<_>>();
    for turn in 1..=3 {
        let decisions = limiter.check_all(&checks).await;
        assert!(decisions.iter().all(|decision| decision.allowed() && !decision.degraded()));
        assert_eq!(remaining(&decisions), [10 - turn, 3 - turn, 10 - turn], "in the order of the checks");
    }
    for _ in 0..5 {
        let decisions = limiter.check_all(&checks).await;
        assert_eq!(decisions.iter().map(Decision::allowed).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(remaining(&decisions), [7, 0, 7], "nothing was charged");
        assert!(decisions[1].retry_after().is_some_and(|wait| wait <= MINUTE && !wait.is_zero()));
    }
    // A limit in shadow mode denies nothing.
    let watched = policy("b", 3).shadow(true);
    let checks = [Check::new(&policies[0], &users[0]), Check::new(&watched, &users[1])];
    let decisions = limiter.check_all(&checks).await;
    assert!(decisions.iter().all(Decision::allowed) && decisions[1].would_deny());
    assert_eq!(decisions[0].remaining(), 6);
}

/// A request that loses the race for the last unit on one node leaves no charge on the others.
#[tokio::test(flavor = "multi_thread")]
async fn at_once_no_limit_is_passed_and_what_was_denied_is_given_back() {
    let cluster = RedisCluster::start();
    let limiter = connected(cluster.url()).await;
    let users = Arc::new(one_of_each(&cluster));
    for quota in [Quota::sliding_window, Quota::fixed_window, Quota::token_bucket] {
        let policies = Arc::new([
            Policy::new("wide", quota(1000, MINUTE)),
            Policy::new("narrow", quota(20, MINUTE)),
            Policy::new("middle", quota(30, MINUTE)),
        ]);
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            let (limiter, users, policies) = (limiter.clone(), Arc::clone(&users), Arc::clone(&policies));
            tasks.spawn(async move {
                let checks: Vec<_> = policies.iter().zip(&*users).map(|(p, key)| Check::new(p, key)).collect();
                limiter.check_all(&checks).await
            });
        }
        let mut allowed = 0;
        while let Some(decisions) = tasks.join_next().await {
            let decisions = decisions.unwrap();
            assert!(decisions.iter().all(|decision| !decision.degraded()));
            allowed += u32::from(decisions.iter().all(Decision::allowed));
        }
        assert!(allowed > 0 && allowed <= 20, "{allowed}");
        // What is given back is on its way for a moment after the answer.
        let patience = Instant::now() + Duration::from_secs(10);
        loop {
            let mut used = Vec::new();
            for (policy, key) in policies.iter().zip(&*users) {
                used.push(policy.quota().limit() - limiter.peek(policy, key).await.unwrap().remaining());
            }
            // A bucket refills meanwhile.
            let is_right = |used: &u32| match policies[0].quota().algorithm() {
                rateguard::Algorithm::TokenBucket => *used <= allowed,
                _ => *used == allowed,
            };
            if used.iter().all(is_right) {
                break;
            }
            assert!(Instant::now() < patience, "{allowed} were allowed, and {used:?} are counted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[rate_limit(limit = 3, window = 60, key = "ip", name = "handler")]
#[rate_limit(limit = 100, window = 3600, key = "header:x-api-key", name = "hourly")]
async fn handler() -> &'static str {
    "served"
}

#[tokio::test(flavor = "multi_thread")]
async fn stacked_limits_of_a_layer_and_of_attributes_work_as_on_one_server() {
    let cluster = RedisCluster::start();
    let limiter = connected(cluster.url()).await;
    let layer = RateLimitLayer::new(limiter.clone())
        .limit("everybody", Quota::sliding_window(50, MINUTE), KeyBy::Global)
        .limit("each", Quota::sliding_window(5, MINUTE), KeyBy::Ip);
    let app = Router::new().route("/", get(handler)).route("/plain", get(|| async {})).layer(layer);
    let address = serve(app).await;
    let ask = async |path: &str| {
        let request = reqwest::Client::new().get(format!("http://{address}{path}")).header("x-api-key", "k");
        request.send().await.unwrap()
    };
    for remaining in ["2", "1", "0"] {
        let response = ask("/").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-ratelimit-remaining"], remaining);
    }
    assert_eq!(ask("/").await.status(), 429);
    // What the layer had counted of the denied one was given back: three so far, and the fifth is the last.
    assert_eq!(ask("/plain").await.status(), 200);
    assert_eq!(ask("/plain").await.status(), 200);
    let denied = ask("/plain").await;
    assert_eq!(denied.status(), 429);
    assert!(denied.headers().contains_key("retry-after"));
    let everybody = limiter.peek(&policy("everybody", 50), &Key::global()).await.unwrap();
    assert_eq!(everybody.remaining(), 45, "a denial by one spends none of the others");
}
