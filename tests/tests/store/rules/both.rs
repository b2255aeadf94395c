//! Memory and Redis at the same time.

use super::*;

/// A limiter in memory and one on Redis, whose clocks stand at the same time.
pub(super) struct Both {
    pub(super) server: RedisServer,
    pub(super) clock: ManualClock,
    pub(super) memory: RateGuard,
    pub(super) redis: RateGuard,
}

impl Both {
    /// How long the limiter on Redis keeps denials in its deny cache.
    pub(super) async fn new(compact: bool, deny_cache: Duration) -> Both {
        let server = RedisServer::start_with_clock();
        let clock = ManualClock::new();
        let memory = RateGuard::builder().clock(clock.clone()).build().unwrap();
        let redis = RateGuard::builder().compact_log(compact).deny_cache(deny_cache).clock(clock.clone());
        let redis = connected(redis, &server).await;
        Both { server, clock, memory, redis }
    }

    pub(super) fn stand_at(&self, now: u64) {
        self.clock.set(Duration::from_micros(now));
        self.server.clock().set(now);
    }

    pub(super) async fn check(&self, policy: &Policy, key: &Key, cost: u32) -> Told {
        let memory = self.memory.check_cost(policy, key, cost).await;
        let redis = self.redis.check_cost(policy, key, cost).await;
        agreed(memory, redis, &format!("cost {cost} of {:?}", policy.quota()))
    }

    /// One unit, charged by the script for everything.
    pub(super) async fn check_as_one_of_two(&self, policy: &Policy, key: &Key) -> Told {
        let other = Policy::new("looked-at", Quota::sliding_window(5, Duration::from_secs(1)));
        self.check_both(policy, &other, 0, key).await.0
    }

    /// A unit of the first, and so many of the other; what the first said, and whether both were charged.
    pub(super) async fn check_both(&self, policy: &Policy, other: &Policy, cost: u32, key: &Key) -> (Told, bool) {
        let checks = [Check::new(policy, key), Check::new(other, key).cost(cost)];
        let memory = self.memory.check_all(&checks).await;
        let redis = self.redis.check_all(&checks).await;
        let both = memory.iter().all(Decision::allowed);
        let mut told = memory
            .into_iter()
            .zip(redis)
            .map(|(memory, redis)| agreed(memory, redis, &format!("{:?} and {other:?}", policy.quota())));
        let first = told.next().unwrap();
        told.for_each(drop);
        (first, both)
    }

    /// As many at once as a call takes: in Redis one operation, in memory one after the other.
    pub(super) async fn check_crowd(&self, policy: &Policy, key: &Key, many: usize) -> Vec<Told> {
        let mut memory = Vec::new();
        for _ in 0..many {
            memory.push(self.memory.check(policy, key).await);
        }
        let redis = join_all((0..many).map(|_| self.redis.check(policy, key))).await;
        let context = format!("{many} at once of {:?}", policy.quota());
        memory.into_iter().zip(redis).map(|(memory, redis)| agreed(memory, redis, &context)).collect()
    }

    /// One unit together with one of another limit, until that is spent. Nobody has asked that one yet: what is
    /// remembered of a denial shows the other limits as they were.
    pub(super) async fn check_beside_another(
        &self,
        policy: &Policy,
        key: &Key,
        model: &mut Model,
        now: u64,
        shadow: bool,
    ) {
        static OTHER: AtomicU64 = AtomicU64::new(0);
        let quota = policy.quota();
        let other = Quota::try_new(quota.algorithm(), 3, quota.window()).unwrap();
        let name = format!("beside-{}", OTHER.fetch_add(1, Ordering::Relaxed));
        let other = Policy::try_new(name, other).unwrap().shadow(shadow);
        for _ in 0..5 {
            let available = model.available(now, &quota);
            let (told, charged) = self.check_both(policy, &other, 1, key).await;
            assert_eq!(told.allowed, available >= 1);
            assert_eq!(u64::from(told.remaining), available - u64::from(charged));
            if charged {
                model.charge(now, &quota, 1);
            } else if !told.allowed {
                model.denied(now, &quota);
            }
        }
    }

    pub(super) async fn reset(&self, policy: &Policy, key: &Key) {
        self.memory.reset(policy, key).await.unwrap();
        self.redis.reset(policy, key).await.unwrap();
    }

    pub(super) async fn refund(&self, policy: &Policy, key: &Key, cost: u32) {
        self.memory.refund(policy, key, cost).await.unwrap();
        self.redis.refund(policy, key, cost).await.unwrap();
    }

    pub(super) async fn give_back(&self, charge: &Charge, cost: u32) {
        let Charge { decisions: [memory, redis], .. } = charge;
        self.memory.refund_part(memory, cost).await.unwrap();
        self.redis.refund_part(redis, cost).await.unwrap();
    }

    pub(super) async fn peek(&self, policy: &Policy, key: &Key) -> Told {
        let memory = self.memory.peek(policy, key).await.unwrap();
        agreed(memory, self.redis.peek(policy, key).await.unwrap(), "a look")
    }
}

/// What both have said.
pub(super) struct Told {
    pub(super) allowed: bool,
    pub(super) remaining: u32,
    pub(super) reset: u64,
    pub(super) retry: Option<u64>,
    /// In memory, and in Redis.
    pub(super) decisions: [Decision; 2],
}

pub(super) fn agreed(memory: Decision, redis: Decision, context: &str) -> Told {
    assert_eq!(said(&redis), said(&memory), "redis is left, memory is right; {context}");
    let (allowed, remaining, reset, retry) = said(&memory);
    Told { allowed, remaining, reset, retry, decisions: [memory, redis] }
}
