//! With a cluster, and with Upstash.

use super::*;

#[test]
fn a_cluster_finishes_what_was_begun_and_ends_the_tasks_of_all_nodes() {
    let cluster = RedisCluster::start();
    let masters = &cluster.nodes[..3];
    let before: Vec<usize> = masters.iter().map(connections).collect();
    let users: Vec<Key> = (0..30).map(Key::user).collect();
    let runtime = current_thread();
    let limiter = RateGuard::builder().redis(cluster.url()).deadline(Duration::from_secs(10)).build().unwrap();
    let other = limiter.clone();
    runtime.block_on(async {
        limiter.ready().await.unwrap();
        begin_refund(&limiter).await;
        // Most are in several slots: they are asked first, and then charged.
        let ten = TEN;
        let pairs: Vec<_> = users.chunks(2).map(|pair| [0, 1].map(|n| Check::new(&ten, &pair[n]))).collect();
        let mut groups: Vec<_> = pairs.iter().map(|pair| Box::pin(limiter.check_all(pair))).collect();
        for group in &mut groups {
            assert!(poll!(group).is_pending());
        }
        limiter.close().await;
        let decisions = join_all(groups).await;
        assert!(decisions.iter().flatten().all(|decision| decision.allowed() && !decision.degraded()));
        for (master, before) in masters.iter().zip(&before) {
            let patience = Instant::now() + Duration::from_secs(2);
            while connections(master) > *before {
                assert!(Instant::now() < patience, "{}", master.command::<String>(&["CLIENT", "LIST"]));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        assert_closed(&other).await;
        limiter.close().await;
    });
    drop(runtime);
    current_thread().block_on(async {
        let limiter = RateGuard::builder().redis(cluster.url()).deadline(Duration::from_secs(10)).build().unwrap();
        assert_eq!(limiter.peek(&TEN, &alice()).await.unwrap().remaining(), 10);
        for user in &users {
            assert_eq!(limiter.peek(&TEN, user).await.unwrap().remaining(), 9);
        }
    });
}

#[tokio::test]
async fn a_cluster_whose_nodes_hang_or_are_not_known_yet_does_not_hold_close_longer_than_the_deadline() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let proxy = Proxy::start(server.port());
    for fault in [Fault::Silence, Fault::Close] {
        proxy.set(fault);
        let url = proxy.url().replace("redis://", "redis+cluster://");
        let limiter = RateGuard::builder().redis(url).deadline(DEADLINE).build().unwrap();
        let checking = limiter.clone();
        let check = tokio::spawn(async move { checking.check(&TEN, &alice()).await });
        tokio::task::yield_now().await;
        let started = Instant::now();
        limiter.close().await;
        assert!(check.await.unwrap().degraded());
        assert!(started.elapsed() < DEADLINE + MARGIN, "{fault:?}: {:?}", started.elapsed());
        // The proxy counts a connection a moment after it was made.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let connects = proxy.connects();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(proxy.connects(), connects, "the slot map is not asked for any more");
        assert_closed(&limiter).await;
    }
}

#[test]
fn upstash_finishes_what_was_begun_and_does_not_hold_close_longer_than_the_deadline() {
    let redis = RedisServer::start();
    let service = UpstashServer::start(&redis);
    let runtime = current_thread();
    runtime.block_on(async {
        let limiter = connected_upstash(RateGuard::builder(), &service).await;
        service.set(Illness::Slow(Duration::from_millis(50)));
        begin_refund(&limiter).await;
        limiter.close().await;
        assert_closed(&limiter).await;
    });
    drop(runtime);
    current_thread().block_on(async {
        service.set(Illness::None);
        let builder: RateGuardBuilder = RateGuard::builder().upstash(service.url(), UpstashServer::TOKEN);
        let limiter = builder.deadline(DEADLINE).build().unwrap();
        limiter.ready().await.unwrap();
        assert_eq!(limiter.peek(&TEN, &alice()).await.unwrap().remaining(), 10);
        service.set(Illness::Slow(Duration::from_secs(5)));
        let checking = limiter.clone();
        let check = tokio::spawn(async move { checking.check(&TEN, &alice()).await });
        tokio::task::yield_now().await;
        let started = Instant::now();
        limiter.close().await;
        assert!(started.elapsed() < DEADLINE + MARGIN, "{:?}", started.elapsed());
        assert!(check.await.unwrap().degraded());
        assert_closed(&limiter).await;
    });
}
