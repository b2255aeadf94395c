//! What happens around changes: of a quota while it counts, of the release that counts, and charges that are given back
//! against their receipts.

mod receipts;
mod releases;
mod windows;

use std::time::Duration;

use rateguard::{Check, Decision, Key, ManualClock, Policy, Quota, RateGuard};
use rateguard_tests::{RedisServer, connected};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const START: u64 = 1_800_000_000_000_000;

type Make = fn(u32, Duration) -> Quota;
const WINDOWS: [Make; 3] = [Quota::sliding_window, Quota::sliding_counter, Quota::fixed_window];

/// A limiter whose time the test moves, in memory or in Redis.
struct Timed {
    limiter: RateGuard,
    clock: ManualClock,
    server: Option<RedisServer>,
    now: u64,
}

impl Timed {
    async fn both() -> [Timed; 2] {
        let clock = ManualClock::new();
        let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
        let memory = Timed { limiter, clock, server: None, now: START };
        let (clock, server) = (ManualClock::new(), RedisServer::start_with_clock());
        let limiter = connected(RateGuard::builder().clock(clock.clone()).deny_cache(Duration::ZERO), &server).await;
        let mut both = [memory, Timed { limiter, clock, server: Some(server), now: START }];
        for timed in &mut both {
            timed.pass(Duration::ZERO);
        }
        both
    }

    fn pass(&mut self, time: Duration) {
        self.now += u64::try_from(time.as_micros()).unwrap();
        self.clock.set(Duration::from_micros(self.now));
        if let Some(server) = &self.server {
            server.clock().set(self.now);
        }
    }

    async fn check(&self, policy: &Policy, cost: u32) -> Decision {
        let decision = self.limiter.check_cost(policy, &Key::user("u"), cost).await;
        assert!(!decision.degraded(), "{:?}", decision.degraded_reason());
        decision
    }

    /// How many of so many single requests are allowed.
    async fn allowed(&self, policy: &Policy, requests: u32) -> u32 {
        let mut allowed = 0;
        for _ in 0..requests {
            allowed += u32::from(self.check(policy, 1).await.allowed());
        }
        allowed
    }

    async fn give_back(&self, decision: &Decision) {
        self.limiter.refund_decision(decision).await.unwrap();
    }

    async fn remaining(&self, policy: &Policy) -> u32 {
        self.limiter.peek(policy, &Key::user("u")).await.unwrap().remaining()
    }
}
