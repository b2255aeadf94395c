//! The nodes of a Redis Cluster fail, and slots move between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rateguard::{Check, Decision, Key, RateGuard};
use rateguard_tests::{RedisCluster, RedisServer, ServerProgram};
use tokio::task::JoinSet;

use crate::outages::signal;
use crate::watch::{DEADLINE, Watch, connected, patient, policy};

/// A user of each of the three masters, in their order.
fn users(cluster: &RedisCluster) -> [u32; 3] {
    [0, 1, 2].map(|master| (0..1000).find(|n| cluster.master_of(&format!("user:{n}")) == master).unwrap())
}

/// Several users whose counts are in one slot.
fn neighbours(cluster: &RedisCluster) -> Vec<u32> {
    let names: Vec<String> = (0..100_000).map(|n| format!("user:{n}")).collect();
    let slots = cluster.slots(&names);
    let is_same = |n: &u32| slots[*n as usize] == slots[0];
    (0..100_000).filter(is_same).take(4).collect()
}

/// Checks without an end, from several tasks, that must all be counted.
struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
    sent: Arc<AtomicU32>,
}

impl Load {
    fn start(watch: &'static Watch, limiter: &RateGuard, users: &[u32]) -> Load {
        let mut load = Load { stop: Arc::default(), clients: JoinSet::new(), sent: Arc::default() };
        for n in 0..4 * users.len() {
            let (limiter, stop, sent) = (limiter.clone(), Arc::clone(&load.stop), Arc::clone(&load.sent));
            let key = Key::user(users[n % users.len()]);
            load.clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let decision = watch.check(&limiter, &policy("load"), &key).await;
                    assert_eq!(decision.degraded_reason(), None);
                    sent.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        load
    }

    async fn stop(mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        self.sent.load(Ordering::Relaxed)
    }
}

async fn used_by_all(watch: &Watch, limiter: &RateGuard, users: &[u32]) -> u32 {
    let mut used = 0;
    for user in users {
        used += watch.used(limiter, &policy("load"), &Key::user(user)).await;
    }
    used
}

pub(crate) async fn migrating(watch: &'static Watch) {
    let cluster = Arc::new(RedisCluster::start());
    let limiter = patient(cluster.url()).await;
    let users = neighbours(&cluster);
    let slot = cluster.slot(&format!("user:{}", users[0]));
    let load = Load::start(watch, &limiter, &users);
    // Several limits of one identity, of which some are here and some there for a while.
    let stop = Arc::new(AtomicBool::new(false));
    let pairs = {
        let (limiter, stop) = (limiter.clone(), Arc::clone(&stop));
        let key = Key::user(users[0]);
        tokio::spawn(async move {
            let mut sent = [0_u32; 20];
            let policies: Vec<_> = (0..20)
                .map(|n| rateguard::Policy::try_new(format!("pair{n}"), policy("load").quota()).unwrap())
                .collect();
            let always = policy("always");
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                // A new one now and then, which is nowhere yet.
                let n = (turn / 20) % 20;
                let start = Instant::now();
                let decisions = limiter.check_all(&[Check::new(&always, &key), Check::new(&policies[n], &key)]).await;
                assert!(start.elapsed() < DEADLINE + Duration::from_secs(5), "L: {:?}", start.elapsed());
                assert!(decisions.iter().all(|decision| decision.allowed() && !decision.degraded()), "{decisions:?}");
                sent[n] += 1;
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            (policies, sent)
        })
    };
    let mut moved = 0;
    let moving = Arc::clone(&cluster);
    let first = cluster.master_of(&format!("user:{}", users[0]));
    let rounds = tokio::task::spawn_blocking(move || {
        for round in 0..4 {
            std::thread::sleep(Duration::from_millis(200));
            moved += moving.move_slot(slot, (first + round) % 3, (first + round + 1) % 3);
        }
        moved
    });
    let moved = rounds.await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let (policies, sent) = pairs.await.unwrap();
    let singles = load.stop().await;
    assert_eq!(used_by_all(watch, &limiter, &users).await, singles, "X");
    let key = Key::user(users[0]);
    for (policy, sent) in policies.iter().zip(sent) {
        assert_eq!(watch.used(&limiter, policy, &key).await, sent, "X: {}", policy.name());
    }
    let together = watch.used(&limiter, &policy("always"), &key).await;
    assert_eq!(together, sent.iter().sum::<u32>(), "X");
    watch.recovers(&limiter).await;
    watch
        .note(format!("{singles} checks and {together} pairs, each counted once, while {moved} keys moved in 4 moves"));
}

/// One master is away, by `begin`: the others' users are counted all the time and in time, a replica takes over, and
/// its users are counted by it.
async fn away(watch: &'static Watch, cluster: &RedisCluster, limiter: &RateGuard, begin: impl FnOnce()) {
    let [lost, others @ ..] = users(cluster);
    let lost = Key::user(lost);
    let load = Load::start(watch, limiter, &others);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = watch.used(limiter, &policy("lost"), &lost).await;
    assert_eq!(before, 0);
    begin();
    let since = Instant::now();
    let (mut waited, mut uncounted) = (Duration::ZERO, 0);
    loop {
        let start = Instant::now();
        let decision = watch.check(limiter, &policy("lost"), &lost).await;
        waited += start.elapsed();
        if !decision.degraded() && uncounted > 0 {
            break;
        }
        uncounted += u32::from(decision.degraded());
        // Those who are on the lost node as well as on another are answered, too.
        if uncounted % 20 == 1 {
            let (one, other) = (policy("both"), Key::user(others[0]));
            let start = Instant::now();
            let both = limiter.check_all(&[Check::new(&one, &other), Check::new(&one, &lost)]).await;
            assert!(start.elapsed() < DEADLINE + Duration::from_secs(2), "L");
            assert!(both.iter().all(Decision::allowed), "O");
        }
        assert!(since.elapsed() < Duration::from_secs(20), "R: {:?}", decision.degraded_reason());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watch.note(format!(
        "its slots counted again after {:.2} s; {} ms of waiting in {uncounted} uncounted checks",
        since.elapsed().as_secs_f32(),
        waited.as_millis()
    ));
    watch.recovers(limiter).await;
    let sent = load.stop().await;
    let used = used_by_all(watch, limiter, &others).await;
    assert_eq!(used, sent, "X: the other slots");
    watch.note(format!("{sent} checks of other slots meanwhile, all counted"));
}

pub(crate) async fn node_lost(watch: &'static Watch) {
    let mut cluster = RedisCluster::start();
    let limiter = connected(cluster.url()).await;
    let first = std::mem::replace(&mut cluster.nodes[0], RedisServer::stopped());
    away(watch, &cluster, &limiter, || drop(first)).await;
}

pub(crate) async fn node_hangs(watch: &'static Watch) {
    let cluster = RedisCluster::start();
    let limiter = connected(cluster.url()).await;
    away(watch, &cluster, &limiter, || signal(&cluster.nodes[0], "STOP")).await;
    signal(&cluster.nodes[0], "CONT");
    // It comes back as a replica of the one that took over.
    watch.recovers(&limiter).await;
    let lost = Key::user(users(&cluster)[0]);
    for _ in 0..100 {
        let _ = watch.check(&limiter, &policy("after"), &lost).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!watch.check(&limiter, &policy("after"), &lost).await.degraded(), "R");
}

/// Redis 6.2 before 6.2.7: after the failover the old master keeps those waiting who ask it, ten seconds in all. So the
/// slots' users are those of a node that hangs.
async fn failover_with_a_pause(watch: &'static Watch) {
    let cluster = RedisCluster::start();
    let limiter = connected(cluster.url()).await;
    away(watch, &cluster, &limiter, || {
        let _: String = cluster.nodes[3].command(&["CLUSTER", "FAILOVER"]);
    })
    .await;
    assert!(cluster.nodes[3].is_master());
}

pub(crate) async fn failover_by_hand(watch: &'static Watch) {
    if !ServerProgram::tested().is_at_least(7) {
        return failover_with_a_pause(watch).await;
    }
    let cluster = RedisCluster::start();
    let limiter = patient(cluster.url()).await;
    let users = users(&cluster);
    let load = Load::start(watch, &limiter, &users);
    for node in [3, 0] {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let replica = &cluster.nodes[node];
        let _: String = replica.command(&["CLUSTER", "FAILOVER"]);
        let asked = Instant::now();
        while !replica.is_master() {
            assert!(asked.elapsed() < Duration::from_secs(20), "the failover does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        watch.note(format!("over after {:.2} s", asked.elapsed().as_secs_f32()));
        // The one that was the master takes over again only once it follows.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let sent = load.stop().await;
    watch.recovers(&limiter).await;
    assert_eq!(used_by_all(watch, &limiter, &users).await, sent, "X");
    watch.note(format!("{sent} checks, each counted once"));
}
