//! How the nodes are found, and connections to them.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_node_that_is_named_leads_to_all_of_them_and_one_that_is_not_there_is_passed_over() {
    let cluster = RedisCluster::start();
    let replica = cluster.nodes[5].port();
    for url in [
        format!("redis+cluster://127.0.0.1:{replica}"),
        format!("redis+cluster://127.0.0.1:{},localhost:{replica}/0?protocol=resp2", free_port()),
    ] {
        let limiter = connected(&url).await;
        for n in 0..30 {
            let decision = limiter.check(&policy("named", 100), &user(n)).await;
            assert_eq!(decision.degraded_reason(), None, "{url}");
        }
    }
    assert_eq!(cluster.command::<u32>("user:0", &["ZCOUNT", &key("user:0", "named"), "-inf", "(inf"]), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_passwords_are_every_nodes() {
    let cluster = RedisCluster::start();
    // What the chapter "In production" says is enough.
    let rules = "~ratelimit:* +evalsha +eval +script|load +ping +time +type +get +set +append +del +pttl +pexpire +zrange \
                 +zrangebyscore +zadd +zremrangebyscore +zremrangebyrank +lindex +llen +lrange +lset +rpush +lpop \
                 +cluster|slots +asking";
    for node in &cluster.nodes {
        let mut words = vec!["ACL", "SETUSER", "someone", "on", ">p@ss#1"];
        words.extend(rules.split_whitespace());
        let _: String = node.command(&words);
    }
    let limiter = connected(cluster.url().replace("://", "://someone:p%40ss%231@")).await;
    for n in 0..30 {
        assert_eq!(limiter.check(&policy("acl", 100), &user(n)).await.degraded_reason(), None);
    }
    let shown = format!("{limiter:?}");
    assert!(shown.contains("cluster of 127.0.0.1:") && !shown.contains("p@ss") && !shown.contains("p%40ss"), "{shown}");
    let wrong = RateGuard::redis(cluster.url().replace("://", "://someone:hunter2@")).unwrap();
    let error = wrong.ready().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Authentication);
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_no_cluster_says_so() {
    let server = RedisServer::start();
    let limiter = RateGuard::redis(server.url().replace("redis://", "redis+cluster://")).unwrap();
    let error = limiter.ready().await.unwrap_err();
    assert!(error.to_string().contains("cluster support disabled"), "{error}");
}

#[tokio::test]
async fn a_program_starts_with_the_cluster_down() {
    let url = format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", free_port(), free_port());
    let limiter = RateGuard::redis(url).unwrap();
    for _ in 0..50 {
        let decision = limiter.check(&policy("down", 1), &Key::global()).await;
        assert!(decision.allowed());
        assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::Unreachable));
    }
    let (policy, one, two) = (policy("down", 1), user(1), user(2));
    let group = [Check::new(&policy, &one), Check::new(&policy, &two)];
    assert!(limiter.check_all(&group).await.iter().all(|decision| decision.allowed() && decision.degraded()));
}

#[test]
fn a_handle_made_outside_a_runtime_connects_with_the_first_check_and_again_on_the_next_runtime() {
    let cluster = RedisCluster::start();
    let limiter = RateGuard::builder().redis(cluster.url()).deadline(Duration::from_secs(10)).build().unwrap();
    for remaining in [1, 0] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let decision = runtime.block_on(limiter.check(&policy("runtimes", 2), &Key::global()));
        assert_eq!(decision.degraded_reason(), None);
        assert_eq!(decision.remaining(), remaining);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connections_end_with_the_last_handle() {
    let cluster = RedisCluster::start();
    let connections = || -> usize {
        let lists = cluster.nodes.iter().map(|node| node.command::<String>(&["CLIENT", "LIST"]));
        // No replica's, and by what was asked last: a script, or whether the node is there.
        let asked = |line: &str| line.contains("cmd=eval") || line.contains("cmd=ping");
        let is_ours = |line: &&str| line.contains(" flags=N ") && asked(line);
        lists.map(|list| list.lines().filter(is_ours).count()).sum()
    };
    let limiter = connected(cluster.url()).await;
    assert_eq!(connections(), 3, "one for each master");
    drop(limiter);
    let patience = Instant::now() + Duration::from_secs(10);
    while connections() > 0 {
        assert!(Instant::now() < patience);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
