//! Calls that carry the checks of several slots.

use super::*;

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
