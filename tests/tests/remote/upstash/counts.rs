//! What is counted, and in how many calls.

use super::*;

#[tokio::test]
async fn the_same_steps_are_answered_as_by_the_redis_store() {
    let (log, _guard) = Log::capture(Level::WARN);
    let server = RedisServer::start_with_clock();
    let upstash = UpstashServer::start(&server);
    let by_redis = connected(without_memory("redis"), &server).await;
    let by_upstash = connected_upstash(without_memory("upstash"), &upstash).await;
    let mut now = 1_800_000_000_000_000;
    for (n, algorithm) in rateguard_tests::ALGORITHMS.into_iter().enumerate() {
        for (limit, step) in [(7, 700_000), (300, 50_000), (3000, 10_001)] {
            let small = Policy::new("small", Quota::try_new(algorithm, limit, Duration::from_secs(3)).unwrap());
            let large = Policy::new("large", Quota::try_new(algorithm, 2 * limit, MINUTE).unwrap());
            let key = Key::user(n);
            for turn in 0..40 {
                now += step * (turn % 3);
                server.clock().set(now);
                let cost = 1 + u32::try_from(turn * 37).unwrap() % (limit / 3);
                let checks = [Check::new(&small, &key).cost(cost), Check::new(&large, &key)];
                let mut answers = Vec::new();
                for limiter in [&by_redis, &by_upstash] {
                    let mut answer = limiter.check_all(&checks).await;
                    if turn % 7 == 3 {
                        limiter.refund(&small, &key, 2).await.unwrap();
                    }
                    if turn % 13 == 11 {
                        limiter.reset(&large, &key).await.unwrap();
                    }
                    answer.push(limiter.peek(&small, &key).await.unwrap());
                    answer.push(limiter.check(&large, &key).await);
                    assert!(answer.iter().all(|decision| !decision.degraded()), "{answer:?}\n{}", log.text());
                    answers.push(format!("{answer:?}"));
                }
                assert_eq!(answers[0], answers[1], "{algorithm} {limit}, turn {turn}");
            }
        }
    }
    let keys = |prefix| server.keys().into_iter().filter_map(move |key| key.strip_prefix(prefix).map(str::to_owned));
    let (mut redis, mut upstash): (Vec<_>, Vec<_>) = (keys("redis").collect(), keys("upstash").collect());
    redis.sort_unstable();
    upstash.sort_unstable();
    assert!(!redis.is_empty());
    assert_eq!(redis, upstash, "under the same keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_wait_together_are_one_call_and_only_a_few_are_under_way() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let proxy = Proxy::start(server.port());
    let limiter = builder(format!("http://127.0.0.1:{}", proxy.port())).deadline(PATIENCE).build().unwrap();
    limiter.ready().await.unwrap();
    assert_eq!(server.asked(), ["SCRIPT", "SCRIPT", "EVALSHA", "PING"], "load both, try one, and what was asked");
    server.set(Illness::Slow(Duration::from_millis(100)));
    let fifty = Policy::new("fifty", Quota::sliding_window(50, MINUTE));
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let (limiter, fifty) = (limiter.clone(), fifty.clone());
        tasks.spawn(async move { limiter.check(&fifty, &Key::global()).await });
    }
    let decisions = tasks.join_all().await;
    assert!(decisions.iter().all(|decision| !decision.degraded()));
    assert_eq!(decisions.iter().filter(|decision| decision.allowed()).count(), 50);
    let asked = server.asked();
    assert!(asked.len() <= 12 && asked.iter().all(|name| name == "EVALSHA"), "{asked:?}");
    assert!(proxy.connects() <= 4, "{}", proxy.connects());
}

#[tokio::test]
async fn a_foreign_value_under_a_key_fails_its_own_check_alone() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let limiter = connected_upstash(RateGuard::builder(), &server).await;
    let _: String = redis.command(&["SET", "ratelimit:{user:odd}:p:sw2", "not ours"]);
    let (odd, even) = (Key::user("odd"), Key::user("even"));
    let policy = policy();
    let (odd, even) = tokio::join!(limiter.check(&policy, &odd), limiter.check(&policy, &even));
    assert_eq!(odd.degraded_reason(), Some(StoreErrorKind::WrongType));
    assert_eq!((even.degraded_reason(), even.remaining()), (None, 1));
}
