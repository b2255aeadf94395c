//! Counts that are spread over the nodes of a Redis Cluster.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rateguard::{Check, Decision, Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, StoreErrorKind, rate_limit};
use rateguard_tests::{Fault, Proxy, RedisCluster, RedisServer, free_port, serve};
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_secs(60);

fn policy(name: &'static str, limit: u32) -> Policy {
    Policy::new(name, Quota::sliding_window(limit, MINUTE))
}

async fn connected(url: impl AsRef<str>) -> RateGuard {
    let limiter = RateGuard::builder().redis(url).deadline(Duration::from_secs(10)).build().unwrap();
    limiter.ready().await.unwrap();
    limiter
}

fn user(n: u32) -> Key {
    Key::user(n)
}

fn key(identity: &str, policy: &str) -> String {
    format!("ratelimit:{{{identity}}}:{policy}:sw2")
}

/// Users whose counts are on different nodes.
fn one_of_each(cluster: &RedisCluster) -> Vec<Key> {
    numbers_of_each(cluster).map(user).to_vec()
}

fn numbers_of_each(cluster: &RedisCluster) -> [u32; 3] {
    [0, 1, 2].map(|master| (0..1000).find(|n| cluster.master_of(&format!("user:{n}")) == master).unwrap())
}

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

/// How often the masters were sent this command.
fn calls(cluster: &RedisCluster, command: &str) -> [u64; 3] {
    [0, 1, 2].map(|node| {
        let stats: String = cluster.nodes[node].command(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    })
}

/// One check of each of many users at once.
async fn burst(limiter: &RateGuard, policy: &Policy) -> Vec<Decision> {
    let keys: Vec<Key> = (0..60).map(user).collect();
    futures_util::future::join_all(keys.iter().map(|key| limiter.check(policy, key))).await
}

/// Bursts until one is a single call for each node.
async fn until_calls_are_shared(cluster: &RedisCluster, limiter: &RateGuard) {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let before = calls(cluster, "evalsha");
        burst(limiter, &policy("shared", 1_000)).await;
        if (0..3).all(|node| calls(cluster, "evalsha")[node] == before[node] + 1) {
            return;
        }
        assert!(Instant::now() < patience, "a burst is a call for each slot");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn checks_of_many_slots_at_once_are_one_call_for_each_node() {
    let cluster = RedisCluster::start();
    let limiter = connected(cluster.url()).await;
    until_calls_are_shared(&cluster, &limiter).await;
    let before = calls(&cluster, "evalsha");
    for quota in [Quota::sliding_window, Quota::sliding_counter, Quota::fixed_window, Quota::token_bucket] {
        for limit in [2, 600] {
            let policy = Policy::new("burst", quota(limit, 10 * MINUTE));
            for turn in 1..=3 {
                for decision in burst(&limiter, &policy).await {
                    assert_eq!(decision.degraded_reason(), None);
                    assert_eq!(decision.allowed(), turn <= limit, "{policy:?}");
                    assert_eq!(decision.remaining(), limit.saturating_sub(turn), "{policy:?}");
                }
                limiter.peek(&policy, &user(0)).await.unwrap();
            }
            for n in 0..60 {
                limiter.reset(&policy, &user(n)).await.unwrap();
            }
        }
    }
    let after = calls(&cluster, "evalsha");
    let sent = [0, 1, 2].map(|node| after[node] - before[node]);
    // Of these, 24 for the bursts, and one for each peek and each reset.
    assert_eq!(sent.iter().sum::<u64>(), 3 * 24 + 24 + 60 * 8, "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_slots_move_under_load_exactly_the_limit_is_allowed() {
    let moved = exactly_the_limit_while(|cluster, key, from, to| cluster.move_slot(cluster.slot(key), from, to)).await;
    assert!(moved > 10, "{moved} keys have moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_servers_move_slots_under_load_exactly_the_limit_is_allowed() {
    let moved = exactly_the_limit_while(|cluster, key, from, to| {
        // The slower the moves, the more load they see.
        std::thread::sleep(Duration::from_millis(200));
        usize::from(cluster.servers_move_slot(key, from, to))
    })
    .await;
    assert!(moved == 0 || moved == 6, "{moved} moves of 6");
}

/// Whoever has the slot counts, and nobody counts twice. A slot is moved six times; the sum of what `moves` returns.
async fn exactly_the_limit_while(moves: impl Fn(&RedisCluster, &str, usize, usize) -> usize + Send + 'static) -> usize {
    const LIMIT: u32 = 20;
    let cluster = Arc::new(RedisCluster::start());
    let limiters = [connected(cluster.url()).await, connected(cluster.url()).await];
    let names: Vec<String> = (0..40_000).map(|n| format!("user:{n}")).collect();
    let slots = cluster.slots(&names);
    let [mut moving, mut others] = [Vec::new(), Vec::new()];
    for (n, slot) in (0..).zip(&slots) {
        if *slot == slots[0] && moving.len() < 4 {
            moving.push(n);
        } else if others.len() < 60 {
            others.push(n);
        }
    }
    assert!(moving.len() > 1);
    let first = cluster.master_of("user:0");
    let nodes = Arc::clone(&cluster);
    let moves = tokio::task::spawn_blocking(move || {
        let tag = "ratelimit:{user:0}:none:fw2";
        (0..6).map(|turn| moves(&nodes, tag, (first + turn) % 3, (first + turn + 1) % 3)).sum::<usize>()
    });
    let mut allowed: HashMap<(usize, u32), u32> = HashMap::new();
    let (mut rounds, mut old) = (0, None);
    while !moves.is_finished() || rounds < 3 {
        // New keys, of which some are made in the middle of a move.
        let policies = [Quota::sliding_window, Quota::token_bucket, Quota::fixed_window]
            .map(|quota| Policy::new(format!("round{rounds}").leak(), quota(LIMIT, 60 * MINUTE)));
        let mut checks = JoinSet::new();
        for turn in 0..3 * LIMIT {
            for n in moving.iter().chain(others.iter().skip(usize::try_from(turn).unwrap() % 50).take(4)) {
                let (limiter, key) = (limiters[usize::try_from(turn).unwrap() % 2].clone(), user(*n));
                let (policies, n) = (policies.clone(), *n);
                checks.spawn(async move {
                    let at = (turn % 3) as usize;
                    (at, n, limiter.check(&policies[at], &key).await)
                });
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        allowed.clear();
        while let Some(checked) = checks.join_next().await {
            let (at, n, decision) = checked.unwrap();
            assert_eq!(decision.degraded_reason(), None);
            *allowed.entry((at, n)).or_default() += u32::from(decision.allowed());
        }
        for n in &moving {
            for at in 0..3 {
                assert_eq!(allowed[&(at, *n)], LIMIT, "round {rounds}, user {n}, {:?}", policies[at]);
            }
        }
        assert!(allowed.values().all(|count| *count <= LIMIT));
        rounds += 1;
        // So that a move ends.
        for policy in old.replace(policies).iter().flatten() {
            for n in &moving {
                limiters[0].reset(policy, &user(*n)).await.unwrap();
            }
        }
    }
    moves.await.unwrap()
}

#[tokio::test]
async fn in_a_shared_call_a_key_that_the_access_rules_forbid_fails_alone() {
    let cluster = RedisCluster::start();
    let commands = "+@all ~ratelimit:{probe*";
    for node in &cluster.nodes {
        let mut words = vec!["ACL", "SETUSER", "someone", "on", ">p"];
        words.extend(commands.split_whitespace());
        let own: Vec<String> = (0..60).filter(|n| n % 3 > 0).map(|n| format!("~ratelimit:{{user:{n}}}:*")).collect();
        words.extend(own.iter().map(String::as_str));
        let _: String = node.command(&words);
    }
    let limiter = connected(cluster.url().replace("://", "://someone:p@")).await;
    let mut shared = 0;
    for turn in 1..=50 {
        let before = calls(&cluster, "evalsha");
        for (n, decision) in burst(&limiter, &policy("ruled", 1000)).await.into_iter().enumerate() {
            if n % 3 > 0 {
                assert_eq!((decision.degraded_reason(), decision.remaining()), (None, 1000 - turn));
            } else {
                assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::Forbidden));
            }
        }
        // A shared call for each node, and one for each that is forbidden.
        shared += u32::from(calls(&cluster, "evalsha").iter().sum::<u64>() - before.iter().sum::<u64>() <= 3 + 20);
    }
    assert!(shared > 20, "{shared} of 50 bursts shared their calls");
}

#[tokio::test]
async fn whether_calls_can_be_shared_is_asked_again_after_a_reconnect_and_after_a_slot_has_moved() {
    let cluster = RedisCluster::start();
    let limiter = connected(cluster.url()).await;
    until_calls_are_shared(&cluster, &limiter).await;
    assert_eq!(calls(&cluster, "eval"), [1, 1, 1], "once for each connection");
    let _: u32 = cluster.nodes[1].command(&["CLIENT", "KILL", "TYPE", "normal"]);
    let until = async |expected: [u64; 3]| {
        let patience = Instant::now() + Duration::from_secs(20);
        while (0..3).any(|node| calls(&cluster, "eval")[node] < expected[node]) {
            assert!(Instant::now() < patience, "{:?} instead of {expected:?}", calls(&cluster, "eval"));
            let _ = burst(&limiter, &policy("again", 1_000_000)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until([1, 2, 1]).await;
    let from = cluster.master_of("user:0");
    cluster.move_slot(cluster.slot("user:0"), from, (from + 1) % 3);
    until([2, 3, 2]).await;
    until_calls_are_shared(&cluster, &limiter).await;
}

/// Two nodes that answer the probe in this way, and execute nothing. Whether a call came that declares no key.
fn nodes_that_say(
    answer: &'static str,
) -> (u16, Arc<std::sync::atomic::AtomicU32>, Arc<std::sync::atomic::AtomicBool>) {
    use std::sync::atomic::Ordering::Relaxed;
    let listeners = [0, 1].map(|_| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let [one, two] = [0, 1].map(|n: usize| listeners[n].local_addr().unwrap().port());
    let (probes, undeclared) = (Arc::<std::sync::atomic::AtomicU32>::default(), Arc::default());
    for listener in listeners {
        let (probes, undeclared): (_, Arc<std::sync::atomic::AtomicBool>) =
            (Arc::clone(&probes), Arc::clone(&undeclared));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let (probes, undeclared) = (Arc::clone(&probes), Arc::clone(&undeclared));
                std::thread::spawn(move || {
                    let mut commands = BufReader::new(client.try_clone().unwrap());
                    while let Some(command) = command(&mut commands) {
                        let slots =
                            |from, to, port| format!("*3\r\n:{from}\r\n:{to}\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n");
                        let answer = match command[0].to_ascii_uppercase().as_str() {
                            "CLUSTER" => format!("*2\r\n{}{}", slots(0, 8191, one), slots(8192, 16383, two)),
                            "SCRIPT" => "$4\r\nname\r\n".to_owned(),
                            "EVAL" => {
                                probes.fetch_add(1, Relaxed);
                                answer.to_owned()
                            }
                            "EVALSHA" if command[2] == "1" && command.len() > 8 => "*2\r\n:1\r\n:1\r\n".to_owned(),
                            "EVALSHA" => {
                                undeclared.fetch_or(command[2] == "0", Relaxed);
                                "-ERR not now\r\n".to_owned()
                            }
                            "PING" => "+PONG\r\n".to_owned(),
                            "CLIENT" => "+OK\r\n".to_owned(),
                            _ => "-ERR unknown command\r\n".to_owned(),
                        };
                        if client.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
    }
    (one, probes, undeclared)
}

#[tokio::test]
async fn a_node_that_does_not_reject_another_nodes_key_in_the_known_words_is_sent_calls_of_one_slot() {
    let known = "*3\r\n$0\r\n\r\n$0\r\n\r\n$64\r\nERR Script attempted to access a non local key in a cluster node\r\n";
    for (answer, expected) in [
        // So that the others are not proven by accident.
        (known, true),
        // A proxy that accepts every key; servers that reject keys which are not declared.
        ("*3\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n", false),
        ("-ERR Error running script: script tried accessing undeclared key\r\n", false),
        ("*3\r\n$3\r\nERR\r\n$0\r\n\r\n$3\r\nERR\r\n", false),
        ("*0\r\n", false),
    ] {
        let (port, probes, undeclared) = nodes_that_say(answer);
        let limiter = connected(format!("redis+cluster://127.0.0.1:{port}/0?protocol=resp2")).await;
        for _ in 0..20 {
            burst(&limiter, &policy("burst", 10)).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(probes.load(std::sync::atomic::Ordering::Relaxed), 2, "one for each node: {answer:?}");
        assert_eq!(undeclared.load(std::sync::atomic::Ordering::Relaxed), expected, "{answer:?}");
    }
}

/// A server that says of every key that it has moved, each time to another server, which is not there.
fn liar() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let moved = Arc::new(std::sync::atomic::AtomicU32::new(0));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, moved) = (client.unwrap(), Arc::clone(&moved));
            std::thread::spawn(move || {
                let mut commands = BufReader::new(client.try_clone().unwrap());
                while let Some(command) = command(&mut commands) {
                    let answer = match command[0].to_ascii_uppercase().as_str() {
                        "CLUSTER" => format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n"),
                        "SCRIPT" => "$4\r\nname\r\n".to_owned(),
                        "EVALSHA" => {
                            let n = moved.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            format!("-MOVED 1 127.1.{}.{}:1\r\n", n / 250 % 250, n % 250 + 1)
                        }
                        "CLIENT" => "+OK\r\n".to_owned(),
                        _ => "-ERR unknown command\r\n".to_owned(),
                    };
                    if client.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// An array of strings, as clients write commands.
fn command(from: &mut impl BufRead) -> Option<Vec<String>> {
    let mut number = |mark| {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let number = line.strip_prefix(mark)?.trim_end().parse::<usize>().ok()?;
        if mark == '*' {
            return Some((number, String::new()));
        }
        let mut text = vec![0; number + 2];
        from.read_exact(&mut text).ok()?;
        Some((number, String::from_utf8_lossy(&text).trim_end().to_owned()))
    };
    let (count, _) = number('*')?;
    (0..count).map(|_| number('$').map(|(_, text)| text)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_names_ever_new_nodes_does_not_fill_the_memory() {
    let limiter = RateGuard::redis(format!("redis+cluster://127.0.0.1:{}", liar())).unwrap();
    for turn in 0..50 {
        let checks = (0..20).map(|n| {
            let limiter = limiter.clone();
            async move { limiter.check(&policy("moved", 3), &user(20 * turn + n)).await }
        });
        futures_util::future::join_all(checks).await;
    }
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks < 200, "{tasks} tasks after a thousand names");
}
