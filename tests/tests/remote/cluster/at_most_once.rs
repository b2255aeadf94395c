//! Nothing is counted twice.

use super::*;

/// The way to one master leads through a proxy, which loses the answers to what was done.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_whose_answer_is_lost_is_not_made_again() {
    let cluster = RedisCluster::start();
    let proxy = Proxy::start(cluster.nodes[0].port());
    let _: String = cluster.nodes[0].command(&["CONFIG", "SET", "cluster-announce-port", &proxy.port().to_string()]);
    let told =
        |node: &RedisServer| node.command::<String>(&["CLUSTER", "NODES"]).contains(&format!(":{}@", proxy.port()));
    let patience = Instant::now() + Duration::from_secs(20);
    // Redis 6.2 tells the others, but not those who ask itself.
    while !cluster.nodes.iter().skip(1).all(told) {
        assert!(Instant::now() < patience, "the nodes do not hear of the new port");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Asked at another, which names the proxy.
    let limiter = RateGuard::builder().redis(format!("redis+cluster://127.0.0.1:{}", cluster.nodes[1].port()));
    let limiter = limiter.deadline(Duration::from_millis(300)).build().unwrap();
    let patience = Instant::now() + Duration::from_secs(20);
    while limiter.ready().await.is_err() {
        assert!(Instant::now() < patience);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let [there, other, _] = numbers_of_each(&cluster);
    let key = key(&format!("user:{there}"), "lost");
    let mut lost = 0;
    for made in 0..8 {
        proxy.set(Fault::CutAnswers);
        let own = limiter.clone();
        let check = tokio::spawn(async move { own.check(&policy("lost", 100), &user(there)).await });
        let patience = Instant::now() + Duration::from_secs(20);
        while cluster.nodes[0].command::<u32>(&["ZCOUNT", &key, "-inf", "(inf"]) == made {
            assert!(Instant::now() < patience, "it was not made");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The call is made, and its answer is about to be lost. A client that retried could do so now.
        tokio::time::sleep(Duration::from_millis(50)).await;
        proxy.set(Fault::None);
        lost += u32::from(check.await.unwrap().degraded());
        // The others are not concerned.
        assert!(!limiter.check(&policy("lost", 100), &user(other)).await.degraded());
        let patience = Instant::now() + Duration::from_secs(20);
        while limiter.ready().await.is_err() {
            assert!(Instant::now() < patience);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(cluster.nodes[0].command::<u32>(&["ZCOUNT", &key, "-inf", "(inf"]), made + 1, "made once");
    }
    // On a busy machine one may get through before the proxy looks.
    assert!(lost >= 4, "{lost} of 8 answers were lost");
}

/// The node has given the slot away, so a key that is deleted in order to be rewritten cannot be written.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_slot_moves_a_key_of_another_window_is_never_deleted_before_it_is_written() {
    let cluster = RedisCluster::start();
    let limiter = connected(cluster.url()).await;
    let n = numbers_of_each(&cluster)[0];
    let short = Policy::new("window", Quota::sliding_window(5, Duration::from_secs(1)));
    let (from, to) = (&cluster.nodes[0], &cluster.nodes[1]);
    let slot = cluster.slot(&format!("user:{n}")).to_string();
    let id = |node: &RedisServer| node.command::<String>(&["CLUSTER", "MYID"]);
    assert!(limiter.check(&short, &user(n)).await.allowed());
    let _: String = to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
    let _: String = from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    while limiter.peek(&short, &user(n)).await.unwrap().remaining() < 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for remaining in [4, 3] {
        let decision = limiter.check(&policy("window", 5), &user(n)).await;
        assert_eq!((decision.degraded_reason(), decision.remaining()), (None, remaining));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_forget_the_script_are_told_it_again_and_nothing_is_counted_twice() {
    let cluster = RedisCluster::start();
    let limiter = connected(cluster.url()).await;
    let mut tasks = JoinSet::new();
    for n in 0..32 {
        let limiter = limiter.clone();
        tasks.spawn(async move {
            for turn in 1..=100 {
                let decision = limiter.check(&policy("flushed", 1000), &user(n)).await;
                assert_eq!(decision.degraded_reason(), None);
                assert_eq!(decision.remaining(), 1000 - turn);
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
    }
    for _ in 0..30 {
        for node in cluster.nodes.iter().take(3) {
            let _: String = node.command(&["SCRIPT", "FLUSH"]);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}
