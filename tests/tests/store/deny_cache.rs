//! Denials from memory: they cost Redis nothing, are right for as long as they are given, and end in time.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rateguard::{Check, Decision, Key, Policy, Quota, RateGuard, RateGuardBuilder};
use rateguard_tests::{RedisCluster, RedisServer, UpstashServer, connected, connected_upstash};
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

static TWO: Policy = Policy::new("two", Quota::sliding_window(2, MINUTE));
static MANY: Policy = Policy::new("many", Quota::sliding_window(100, HOUR));

/// How many scripts the server has run.
fn calls(server: &RedisServer) -> u64 {
    let info: String = server.command(&["INFO", "commandstats"]);
    let calls = |line: &str| line.split_once("calls=")?.1.split_once(',')?.0.parse::<u64>().ok();
    info.lines().filter(|line| line.starts_with("cmdstat_evalsha:")).filter_map(calls).sum()
}

async fn remembering(server: &RedisServer) -> RateGuard {
    // Longer than the default, so that no test depends on being quick.
    connected(RateGuard::builder().deny_cache(MINUTE), server).await
}

async fn spend(limiter: &RateGuard, policy: &Policy, key: &Key) {
    let left = limiter.peek(policy, key).await.unwrap().remaining();
    assert!(limiter.check_cost(policy, key, left).await.allowed());
    assert!(!limiter.check(policy, key).await.allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_requests_are_denied_without_asking_redis() {
    let server = RedisServer::start();
    let limiter = remembering(&server).await;
    let key = Key::user("spent");
    spend(&limiter, &TWO, &key).await;
    let before = calls(&server);
    let first = limiter.check(&TWO, &key).await;
    for _ in 0..1000 {
        let decision = limiter.check(&TWO, &key).await;
        assert!(!decision.allowed() && !decision.degraded());
        assert_eq!((decision.limit(), decision.remaining()), (2, 0));
        assert_eq!(decision.retry_after(), Some(decision.reset_after()));
        assert!(decision.retry_after() <= first.retry_after() && decision.reset_after() > MINUTE / 2);
    }
    assert_eq!(calls(&server), before);
    // Other keys are not affected.
    assert!(limiter.check(&TWO, &Key::user("other")).await.allowed());
    assert_eq!(calls(&server), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_as_long_as_a_denial_from_the_deny_cache_says_is_enough() {
    let server = RedisServer::start();
    let limiter = remembering(&server).await;
    for (name, quota) in [
        ("window", Quota::sliding_window(2, Duration::from_millis(200))),
        ("counter", Quota::sliding_counter(2, Duration::from_millis(200))),
        ("fixed", Quota::fixed_window(2, Duration::from_millis(200))),
        ("bucket", Quota::token_bucket(10, Duration::from_secs(1)).burst(2)),
    ] {
        let policy = Policy::new(name, quota);
        let key = Key::global();
        let (mut denied, mut allowed) = (0, 0);
        while denied < 20 {
            while limiter.check(&policy, &key).await.allowed() {
                allowed += 1;
            }
            // Some of them at once, so that most come from memory.
            for _ in 0..5 {
                let last = limiter.check(&policy, &key).await;
                if let Some(wait) = last.retry_after() {
                    let until = Instant::now() + wait;
                    denied += 1;
                    if denied % 5 == 0 {
                        tokio::time::sleep_until(until.into()).await;
                        assert!(limiter.check(&policy, &key).await.allowed(), "{name}");
                    }
                }
            }
        }
        assert!(allowed > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_cost_or_a_shadow_is_asked_again() {
    let server = RedisServer::start();
    let limiter = remembering(&server).await;
    let key = Key::global();
    assert!(limiter.check(&TWO, &key).await.allowed());
    assert!(!limiter.check_cost(&TWO, &key, 2).await.allowed());
    assert!(limiter.check(&TWO, &key).await.allowed(), "two are too many, one is not");
    let shadowed = TWO.clone().shadow(true);
    let before = calls(&server);
    for _ in 0..3 {
        let decision = limiter.check(&shadowed, &key).await;
        assert!(decision.allowed() && decision.would_deny());
        assert!(limiter.peek(&TWO, &key).await.unwrap().would_deny());
    }
    assert_eq!(calls(&server), before + 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_denied_for_the_limit_that_is_spent_and_shows_the_others_as_they_were() {
    let server = RedisServer::start();
    let limiter = remembering(&server).await;
    let key = Key::global();
    let both = [Check::new(&TWO, &key), Check::new(&MANY, &key)];
    for _ in 0..2 {
        assert!(limiter.check_all(&both).await.iter().all(rateguard::Decision::allowed));
    }
    let asked = limiter.check_all(&both).await;
    let before = calls(&server);
    let remembered = limiter.check_all(&both).await;
    assert_eq!(calls(&server), before);
    for decisions in [&asked, &remembered] {
        assert!(!decisions[0].allowed() && decisions[1].allowed());
        assert_eq!((decisions[0].remaining(), decisions[1].remaining()), (0, 98));
        assert!(decisions[1].reset_after() > MINUTE);
    }
    // One of them alone is another question.
    assert!(limiter.check(&MANY, &key).await.allowed());
    assert_eq!(calls(&server), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_or_a_refund_by_this_limiter_is_seen_at_once() {
    let server = RedisServer::start();
    let limiter = remembering(&server).await;
    let key = Key::user("forgiven");
    spend(&limiter, &TWO, &key).await;
    limiter.reset(&TWO, &key).await.unwrap();
    assert!(limiter.check(&TWO, &key).await.allowed());
    spend(&limiter, &TWO, &key).await;
    limiter.refund(&TWO, &key, 1).await.unwrap();
    assert!(limiter.check(&TWO, &key).await.allowed());
    // Another limit of the same request that is given back.
    let both = [Check::new(&MANY, &key), Check::new(&TWO, &key)];
    assert!(!limiter.check_all(&both).await[1].allowed());
    limiter.reset(&TWO, &key).await.unwrap();
    assert!(limiter.check_all(&both).await[1].allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_by_another_server_is_seen_when_the_cap_has_passed() {
    let server = RedisServer::start();
    let cap = Duration::from_millis(300);
    let limiter = connected(RateGuard::builder().deny_cache(cap), &server).await;
    let other = connected(RateGuard::builder(), &server).await;
    let key = Key::user("elsewhere");
    let asked = Instant::now();
    spend(&limiter, &TWO, &key).await;
    other.reset(&TWO, &key).await.unwrap();
    let mut denied = 0;
    while !limiter.check(&TWO, &key).await.allowed() {
        denied += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(denied > 0 || asked.elapsed() >= cap);
    assert_eq!(limiter.peek(&TWO, &key).await.unwrap().remaining(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_stands_while_redis_is_away_and_no_longer() {
    let mut server = RedisServer::start();
    let build = |builder: RateGuardBuilder| builder.redis(server.url()).deadline(Duration::from_secs(10)).build();
    let limiter = build(RateGuard::builder().deny_cache(MINUTE)).unwrap();
    let short = build(RateGuard::builder().deny_cache(Duration::from_millis(100))).unwrap();
    limiter.ready().await.unwrap();
    short.ready().await.unwrap();
    let key = Key::user("spent");
    spend(&limiter, &TWO, &key).await;
    assert!(!short.check(&TWO, &key).await.allowed());
    server.kill();
    let still = limiter.check(&TWO, &key).await;
    assert!(!still.allowed() && !still.degraded());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let unknown = short.check(&TWO, &key).await;
    assert!(unknown.allowed() && unknown.degraded());
}

/// Gives a spent key its unit back, drops the future at once, and counts how often nobody is allowed afterwards although
/// many ask all the time: at any moment one of them may learn of a denial.
async fn lost_to_a_dropped_future(limiter: RateGuard) -> usize {
    let policy = Policy::new("dropped", Quota::sliding_window(1, HOUR));
    let mut lost = 0;
    for round in 0..60 {
        let key = Key::user(round);
        spend(&limiter, &policy, &key).await;
        let mut asking = JoinSet::new();
        for _ in 0..8 {
            let (limiter, policy, key) = (limiter.clone(), policy.clone(), key.clone());
            asking.spawn(async move {
                while !limiter.check(&policy, &key).await.allowed() {
                    tokio::task::yield_now().await;
                }
            });
        }
        tokio::task::yield_now().await;
        let answer = if round % 2 == 0 {
            limiter.refund(&policy, &key, 1).now_or_never()
        } else {
            limiter.reset(&policy, &key).now_or_never()
        };
        assert!(answer.is_none_or(|answer| answer.is_ok()));
        let allowed = tokio::time::timeout(Duration::from_secs(2), asking.join_next()).await;
        lost += usize::from(allowed.is_err());
    }
    lost
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_by_a_future_that_is_dropped_is_seen_as_well() {
    let server = RedisServer::start();
    let upstash = UpstashServer::start(&server);
    let cluster = RedisCluster::start();
    let remembering = || RateGuard::builder().deny_cache(MINUTE);
    let in_cluster = remembering().redis(cluster.url()).deadline(Duration::from_secs(10)).build().unwrap();
    in_cluster.ready().await.unwrap();
    for (store, limiter) in [
        ("memory", RateGuard::memory()),
        ("redis", connected(remembering(), &server).await),
        ("upstash", connected_upstash(remembering().prefix("upstash"), &upstash).await),
        ("cluster", in_cluster),
    ] {
        assert_eq!(lost_to_a_dropped_future(limiter).await, 0, "{store}");
    }
}

/// A group takes a unit on one node, is denied on another, and gives it back: who was denied for want of it meanwhile is
/// not denied from memory.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_group_gives_back_between_nodes_is_seen_at_once() {
    let cluster = RedisCluster::start();
    let limiter = async |builder: RateGuardBuilder| {
        let limiter = builder.redis(cluster.url()).deadline(Duration::from_secs(10)).build().unwrap();
        limiter.ready().await.unwrap();
        limiter
    };
    let (limiter, other) =
        (limiter(RateGuard::builder().deny_cache(MINUTE)).await, limiter(RateGuard::builder()).await);
    let one = Policy::new("one", Quota::sliding_window(1, HOUR));
    let users = [0, 1].map(|at| {
        let user = (0..1000).map(|n| format!("user:{n}"));
        user.into_iter().find(|user| cluster.master_of(user) == at).unwrap()
    });
    let keys = users.clone().map(|user| Key::user(&user["user:".len()..]));
    let [first, second] = &cluster.nodes[..2] else { unreachable!("two masters") };
    let pause = |node: &RedisServer| node.command::<String>(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let go_on = |node: &RedisServer| node.command::<String>(&["CLIENT", "UNPAUSE"]);

    // The group sees that both are free, and when it charges them, only the first still is.
    pause(first);
    let before = calls(second);
    let group = tokio::spawn({
        let (limiter, one, keys) = (limiter.clone(), one.clone(), keys.clone());
        async move { limiter.check_all(&[Check::new(&one, &keys[0]), Check::new(&one, &keys[1])]).await }
    });
    while calls(second) == before {
        tokio::task::yield_now().await;
    }
    assert!(other.check(&one, &keys[1]).await.allowed());
    pause(second);
    go_on(first);
    while first.command::<u32>(&["EXISTS", &format!("ratelimit:{{{}}}:one:sw2", users[0])]) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!limiter.check(&one, &keys[0]).await.allowed(), "the group has it");
    go_on(second);
    assert_eq!(group.await.unwrap().iter().map(Decision::allowed).collect::<Vec<_>>(), [true, false]);
    while limiter.peek(&one, &keys[0]).await.unwrap().remaining() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(limiter.check(&one, &keys[0]).await.allowed(), "it was given back");
}
