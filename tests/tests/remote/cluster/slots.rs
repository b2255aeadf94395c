//! Slots move while checks are made.

use super::*;

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
