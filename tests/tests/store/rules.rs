//! The rules: memory, Redis running the script under a clock that the test moves, and a plain model say the same; and
//! what was allowed keeps to the limit.
//!
//! `RATEGUARD_SEQUENCES=10000` runs as many random sequences for each algorithm instead of some hundred.

mod model;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use model::Model;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rateguard::{Algorithm, Check, Decision, Key, ManualClock, Policy, Quota, RateGuard};
use rateguard_tests::{RedisServer, connected};

const START: u64 = 1_800_000_000_000_000;
const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::SlidingWindow, Algorithm::SlidingCounter, Algorithm::FixedWindow, Algorithm::TokenBucket];

fn sequences() -> u32 {
    std::env::var("RATEGUARD_SEQUENCES").map_or(150, |text| text.parse().expect("a number of sequences"))
}

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: sequences(),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    })
}

#[derive(Clone, Debug)]
enum Step {
    /// In thousandths of a window, and microseconds more.
    Wait(u64, u64),
    /// In percent of the limit, at least 1 unit.
    Check(u32),
    CheckOne,
    /// One unit, together with a look at another limit, for which the script for everything is needed.
    CheckOneOfTwo,
    /// One unit together with one of another limit, which may be in shadow mode, until that limit is used up.
    CheckTwo(bool),
    /// So many at once, which share an operation.
    CheckCrowd(usize),
    Peek,
    Refund(u32),
    Reset,
    /// To this limit, and one of a few windows.
    Requota(u32, usize),
    /// To this burst, of buckets.
    Burst(Option<u32>),
    /// One of the charges made so far, and so many percent of it, against its receipt, which is used up.
    GiveBack(usize, u32),
    /// As long as the last denial said.
    WaitForRetry,
}

fn limits() -> impl Strategy<Value = u32> {
    // Around the borders of the forms that a log is kept in.
    prop_oneof![1_u32..12, Just(100), Just(128), Just(129), Just(500), Just(513), Just(700)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..1200, 0_u64..3).prop_map(|(share, micros)| Step::Wait(share, micros)),
        4 => (1_u32..120).prop_map(Step::Check),
        6 => Just(Step::CheckOne),
        2 => Just(Step::CheckOneOfTwo),
        2 => any::<bool>().prop_map(Step::CheckTwo),
        2 => (2_usize..40).prop_map(Step::CheckCrowd),
        1 => Just(Step::Peek),
        1 => (1_u32..60).prop_map(Step::Refund),
        1 => Just(Step::Reset),
        2 => (limits(), 0_usize..8).prop_map(|(limit, window)| Step::Requota(limit, window)),
        1 => proptest::option::of(1_u32..200).prop_map(Step::Burst),
        3 => (0_usize..8, 1_u32..150).prop_map(|(charge, percent)| Step::GiveBack(charge, percent)),
        3 => Just(Step::WaitForRetry),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Of small quotas that change again and again, between the same few windows and bursts, with charges given back at any time.
fn changes() -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![Just(0_u64), Just(50), Just(150), Just(500), Just(999), Just(1000), 0_u64..3500];
    let step = prop_oneof![
        4 => (wait, 0_u64..2).prop_map(|(share, micros)| Step::Wait(share, micros)),
        6 => (1_u32..60).prop_map(Step::Check),
        3 => Just(Step::CheckOne),
        1 => (2_usize..6).prop_map(Step::CheckCrowd),
        1 => Just(Step::Peek),
        1 => (1_u32..60).prop_map(Step::Refund),
        1 => Just(Step::Reset),
        4 => (1_u32..9, 0_usize..3).prop_map(|(limit, window)| Step::Requota(limit, window)),
        2 => proptest::option::of(1_u32..9).prop_map(Step::Burst),
        5 => (0_usize..12, Just(100)).prop_map(|(charge, percent)| Step::GiveBack(charge, percent)),
        2 => Just(Step::WaitForRetry),
    ];
    proptest::collection::vec(step, 4..50)
}

fn windows() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::from_millis(1)),
        (1_000_u64..10_000_000).prop_map(Duration::from_micros),
        Just(Duration::from_secs(60)),
        Just(Duration::from_secs(365 * 86_400)),
    ]
}

fn quota(algorithm: Algorithm, limit: u32, window: Duration, burst: Option<u32>) -> Quota {
    let quota = Quota::try_new(algorithm, limit, window).unwrap();
    match burst {
        Some(burst) if algorithm == Algorithm::TokenBucket => quota.try_burst(burst).unwrap_or(quota),
        _ => quota,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap()
}

fn said(decision: &Decision) -> (bool, u32, u64, Option<u64>) {
    assert!(!decision.degraded(), "{:?}", decision.degraded_reason());
    (decision.allowed(), decision.remaining(), micros(decision.reset_after()), decision.retry_after().map(micros))
}

/// A limiter in memory and one on Redis, whose clocks stand at the same time.
struct Both {
    server: RedisServer,
    clock: ManualClock,
    memory: RateGuard,
    redis: RateGuard,
}

impl Both {
    /// How long the limiter on Redis keeps denials in its deny cache.
    async fn new(compact: bool, deny_cache: Duration) -> Both {
        let server = RedisServer::start_with_clock();
        let clock = ManualClock::new();
        let memory = RateGuard::builder().clock(clock.clone()).build().unwrap();
        let redis = RateGuard::builder().compact_log(compact).deny_cache(deny_cache).clock(clock.clone());
        let redis = connected(redis, &server).await;
        Both { server, clock, memory, redis }
    }

    fn stand_at(&self, now: u64) {
        self.clock.set(Duration::from_micros(now));
        self.server.clock().set(now);
    }

    async fn check(&self, policy: &Policy, key: &Key, cost: u32) -> Told {
        let memory = self.memory.check_cost(policy, key, cost).await;
        let redis = self.redis.check_cost(policy, key, cost).await;
        agreed(memory, redis, &format!("cost {cost} of {:?}", policy.quota()))
    }

    /// One unit, charged by the script for everything.
    async fn check_as_one_of_two(&self, policy: &Policy, key: &Key) -> Told {
        let other = Policy::new("looked-at", Quota::sliding_window(5, Duration::from_secs(1)));
        self.check_both(policy, &other, 0, key).await.0
    }

    /// A unit of the first, and so many of the other; what the first said, and whether both were charged.
    async fn check_both(&self, policy: &Policy, other: &Policy, cost: u32, key: &Key) -> (Told, bool) {
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
    async fn check_crowd(&self, policy: &Policy, key: &Key, many: usize) -> Vec<Told> {
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
    async fn check_beside_another(&self, policy: &Policy, key: &Key, model: &mut Model, now: u64, shadow: bool) {
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

    async fn reset(&self, policy: &Policy, key: &Key) {
        self.memory.reset(policy, key).await.unwrap();
        self.redis.reset(policy, key).await.unwrap();
    }

    async fn refund(&self, policy: &Policy, key: &Key, cost: u32) {
        self.memory.refund(policy, key, cost).await.unwrap();
        self.redis.refund(policy, key, cost).await.unwrap();
    }

    async fn give_back(&self, charge: &Charge, cost: u32) {
        let Charge { decisions: [memory, redis], .. } = charge;
        self.memory.refund_part(memory, cost).await.unwrap();
        self.redis.refund_part(redis, cost).await.unwrap();
    }

    async fn peek(&self, policy: &Policy, key: &Key) -> Told {
        let memory = self.memory.peek(policy, key).await.unwrap();
        agreed(memory, self.redis.peek(policy, key).await.unwrap(), "a look")
    }
}

/// What both have said.
struct Told {
    allowed: bool,
    remaining: u32,
    reset: u64,
    retry: Option<u64>,
    /// In memory, and in Redis.
    decisions: [Decision; 2],
}

fn agreed(memory: Decision, redis: Decision, context: &str) -> Told {
    assert_eq!(said(&redis), said(&memory), "redis is left, memory is right; {context}");
    let (allowed, remaining, reset, retry) = said(&memory);
    Told { allowed, remaining, reset, retry, decisions: [memory, redis] }
}

/// A charge whose receipt was not used yet.
struct Charge {
    policy: Policy,
    decisions: [Decision; 2],
    cost: u32,
    /// The model's receipt, and in which life of the key.
    receipt: u64,
    life: u32,
    at: u64,
    /// Too old to count, whatever is asked from now on.
    gone: bool,
}

/// A few windows that quotas change between.
fn windows_of(window: Duration) -> [Duration; 3] {
    let shorter = Duration::from_micros(micros(window) / 20).max(Quota::MIN_WINDOW);
    [window, shorter, (window * 3).min(Quota::MAX_WINDOW)]
}

#[expect(clippy::too_many_lines, reason = "a kind of step after the other")]
async fn agree(
    both: &Both,
    algorithm: Algorithm,
    limit: u32,
    window: Duration,
    mut burst: Option<u32>,
    steps: Vec<Step>,
) {
    static SEQUENCE: AtomicU64 = AtomicU64::new(0);
    let key = Key::new("sequence", SEQUENCE.fetch_add(1, Ordering::Relaxed));
    let mut policy = Policy::new("p", quota(algorithm, limit, window, burst));
    let mut model = Model::new(algorithm);
    let mut now = START;
    let mut denied: Option<(u32, u64)> = None;
    let mut quotas = vec![policy.quota()];
    let mut charges = Charges::default();
    for step in steps {
        both.stand_at(now);
        let quota = policy.quota();
        let share = |percent: u32| (u64::from(quota.limit()) * u64::from(percent)).div_ceil(100).try_into().unwrap();
        let cost = match step {
            Step::Wait(thousandths, more) => {
                now += micros(window) / 1000 * thousandths + more;
                continue;
            }
            Step::Requota(..) | Step::Burst(_) => {
                let (mut limit, mut other) = (quota.limit(), quota.window());
                match step {
                    Step::Burst(other) => burst = other,
                    Step::Requota(new, which) => {
                        limit = new;
                        // Most changes are of the limit alone.
                        other = windows_of(window).get(which).copied().unwrap_or(other);
                    }
                    _ => {}
                }
                policy = Policy::new("p", self::quota(algorithm, limit, other, burst));
                // A denial by the same quota may be remembered, and what another has allowed since would put it off.
                if quotas.contains(&policy.quota()) {
                    both.redis.refund(&policy, &key, 0).await.unwrap();
                }
                quotas.push(policy.quota());
                denied = None;
                continue;
            }
            Step::Reset => {
                both.reset(&policy, &key).await;
                model = Model::new(algorithm);
                charges.reset();
                denied = None;
                // Redis tells the lives of a key apart by its clock, which never stands.
                now += 1;
                continue;
            }
            Step::Refund(percent) => {
                let cost = share(percent);
                both.refund(&policy, &key, cost).await;
                model.refund(now, &quota, u64::from(cost), None);
                denied = None;
                continue;
            }
            Step::GiveBack(which, percent) => {
                let before = both.peek(&policy, &key).await.remaining;
                let most = charges.give_back(both, &mut model, now, which, percent).await;
                let after = both.peek(&policy, &key).await.remaining;
                if algorithm != Algorithm::TokenBucket {
                    assert!(after <= before + most, "{most} units given back, and {before} left are {after}");
                }
                // Of the quota that is asked next, no denial is remembered.
                both.redis.refund(&policy, &key, 0).await.unwrap();
                denied = None;
                continue;
            }
            Step::Peek => {
                let told = both.peek(&policy, &key).await;
                // A look mends nothing.
                let available = model.clone().available(now, &quota);
                assert_eq!((told.allowed, u64::from(told.remaining)), (available >= 1, available));
                continue;
            }
            Step::WaitForRetry => {
                let Some((cost, at)) = denied.take() else { continue };
                // Only if it still says so: another step may have changed the matter.
                if now > at {
                    continue;
                }
                both.stand_at(at - 1);
                let too_soon = both.check(&policy, &key, cost).await;
                assert!(!too_soon.allowed, "a microsecond less is not enough");
                assert_eq!(too_soon.retry, Some(1));
                now = at;
                both.stand_at(now);
                model.available(now - 1, &quota);
                assert!(model.available(now, &quota) >= u64::from(cost), "waiting that long is enough");
                cost
            }
            Step::CheckTwo(shadow) => {
                denied = None;
                charges.count_in(now, &quota);
                both.check_beside_another(&policy, &key, &mut model, now, shadow).await;
                continue;
            }
            Step::CheckCrowd(many) => {
                denied = None;
                charges.count_in(now, &quota);
                for told in both.check_crowd(&policy, &key, many).await {
                    let available = model.available(now, &quota);
                    assert_eq!(
                        (told.allowed, u64::from(told.remaining)),
                        (available >= 1, available.saturating_sub(1))
                    );
                    if told.allowed {
                        assert!(told.reset > 0);
                        charges.add(&policy, told, 1, model.charge(now, &quota, 1), now);
                    } else {
                        model.denied(now, &quota);
                    }
                }
                continue;
            }
            Step::Check(percent) => share(percent),
            Step::CheckOne | Step::CheckOneOfTwo => 1,
        };
        charges.count_in(now, &quota);
        let available = model.available(now, &quota);
        let told = match step {
            Step::CheckOneOfTwo => both.check_as_one_of_two(&policy, &key).await,
            _ => both.check(&policy, &key, cost).await,
        };
        assert_eq!(told.allowed, u64::from(cost) <= available, "{step:?}");
        denied = None;
        if told.allowed {
            assert_eq!(u64::from(told.remaining), available - u64::from(cost));
            assert!(told.reset > 0);
            charges.add(&policy, told, cost, model.charge(now, &quota, u64::from(cost)), now);
        } else {
            model.denied(now, &quota);
            assert_eq!(u64::from(told.remaining), available);
            assert_eq!(told.retry.is_none(), cost > quota.capacity());
            denied = told.retry.map(|retry| (cost, now + retry));
        }
    }
}

/// The charges of a key that can be given back.
#[derive(Default)]
struct Charges {
    made: Vec<Charge>,
    life: u32,
    /// How long a charge can count, by the windows that were asked in this life.
    horizon: u64,
}

impl Charges {
    fn add(&mut self, policy: &Policy, told: Told, cost: u32, receipt: u64, at: u64) {
        let (policy, decisions, life) = (policy.clone(), told.decisions, self.life);
        self.made.push(Charge { policy, decisions, cost, receipt, life, at, gone: false });
    }

    fn reset(&mut self) {
        self.life += 1;
        self.horizon = 0;
    }

    /// A quota is asked, under which charges may count longer from now on. It does not bring back those that are gone.
    fn count_in(&mut self, now: u64, quota: &Quota) {
        for charge in &mut self.made {
            charge.gone |= now - charge.at >= self.horizon;
        }
        let windows = if quota.algorithm() == Algorithm::SlidingCounter { 2 } else { 1 };
        self.horizon = self.horizon.max(windows * micros(quota.window()));
    }

    /// Returns how many units can come back at most.
    async fn give_back(&mut self, both: &Both, model: &mut Model, now: u64, which: usize, percent: u32) -> u32 {
        // The last one most often.
        let Some(at) = self.made.len().checked_sub(1 + which) else { return 0 };
        let charge = self.made.remove(at);
        // More than was charged is not there to be given back, but of other charges of that microsecond.
        let cost = (u64::from(charge.cost) * u64::from(percent)).div_ceil(100).min(charge.cost.into());
        let cost = u32::try_from(cost).unwrap();
        both.give_back(&charge, cost).await;
        if charge.life != self.life {
            return 0;
        }
        // Of a bucket, what was charged before one that is given back out of order may not all come back.
        if !model.is_last(charge.receipt) {
            self.made.drain(..at);
        }
        model.refund(now, &charge.policy.quota(), cost.into(), Some(charge.receipt));
        if charge.gone || now - charge.at >= self.horizon { 0 } else { cost }
    }
}

fn all_agree_in(algorithm: Algorithm, compact: bool) {
    sequences_agree(algorithm, compact, (limits(), windows(), proptest::option::of(1_u32..2000), steps()));
    sequences_agree(algorithm, compact, (1_u32..9, windows(), proptest::option::of(1_u32..9), changes()));
    println!("{algorithm}{}: {} sequences agree", if compact { ", compact" } else { "" }, 4 * sequences());
}

fn sequences_agree(
    algorithm: Algorithm,
    compact: bool,
    strategy: impl Strategy<Value = (u32, Duration, Option<u32>, Vec<Step>)>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Where denials are remembered, half of them come from memory, and have to be as right as the script's.
    for deny_cache in [Duration::ZERO, Duration::from_secs(30)] {
        let both = runtime.block_on(Both::new(compact, deny_cache));
        let result = runner().run(&strategy, |(limit, window, burst, steps)| {
            runtime.block_on(agree(&both, algorithm, limit, window, burst, steps));
            Ok(())
        });
        if let Err(error) = result {
            panic!("{algorithm}: {error}");
        }
    }
}

#[test]
fn model_memory_and_redis_agree_on_the_sliding_window() {
    all_agree_in(Algorithm::SlidingWindow, false);
}

#[test]
fn model_memory_and_redis_agree_on_the_compact_sliding_window() {
    all_agree_in(Algorithm::SlidingWindow, true);
}

#[test]
fn model_memory_and_redis_agree_on_the_sliding_counter() {
    all_agree_in(Algorithm::SlidingCounter, false);
}

#[test]
fn model_memory_and_redis_agree_on_the_fixed_window() {
    all_agree_in(Algorithm::FixedWindow, false);
}

#[test]
fn model_memory_and_redis_agree_on_the_token_bucket() {
    all_agree_in(Algorithm::TokenBucket, false);
}

/// A sequence that was once answered differently, where denials are remembered and where they are not.
async fn always_agree(algorithm: Algorithm, limit: u32, window: Duration, burst: Option<u32>, steps: &[Step]) {
    for deny_cache in [Duration::ZERO, Duration::from_secs(30)] {
        let both = Both::new(false, deny_cache).await;
        agree(&both, algorithm, limit, window, burst, steps.to_vec()).await;
    }
}

#[tokio::test]
async fn a_receipt_from_before_a_reset_gives_nothing_back_after_the_window_was_made_longer() {
    let steps = [
        Step::CheckCrowd(4),
        Step::Reset,
        Step::Check(1),
        Step::Wait(236, 0),
        Step::Check(1),
        Step::Wait(764, 0),
        Step::Requota(2, 2),
        Step::Check(1),
        Step::GiveBack(2, 1),
        Step::Check(1),
    ];
    always_agree(Algorithm::SlidingCounter, 4, Duration::from_millis(1), None, &steps).await;
}

#[tokio::test]
async fn of_two_windows_that_count_as_much_a_new_one_takes_over_the_later() {
    let steps = [
        Step::Check(1),
        Step::Wait(167, 0),
        Step::Requota(4, 1),
        Step::Check(1),
        Step::GiveBack(1, 1),
        Step::Requota(4, 2),
        Step::Check(1),
    ];
    for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingCounter] {
        always_agree(algorithm, 4, Duration::from_secs(60), None, &steps).await;
    }
}

#[tokio::test]
async fn of_two_buckets_that_are_full_at_the_same_time_memory_and_redis_forget_the_same_one() {
    // 2 in 60 s and 6 in 180 s refill equally fast; the fifth rate takes the place of one of them.
    let steps = [
        Step::CheckOne,
        Step::Requota(6, 2),
        Step::CheckOne,
        Step::Requota(1, 0),
        Step::CheckOne,
        Step::Requota(1, 2),
        Step::CheckOne,
        Step::Requota(3, 2),
        Step::CheckOne,
        Step::Wait(300, 0),
        Step::Requota(2, 0),
        Step::CheckOne,
        Step::Requota(6, 2),
        Step::CheckOne,
    ];
    always_agree(Algorithm::TokenBucket, 2, Duration::from_secs(60), None, &steps).await;
}

/// What one request of a crowd asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    /// One unit. The flag says whether the limit is in shadow mode.
    One(Shadow),
    /// A unit of that limit together with one of another.
    Two(Shadow, Shadow),
    /// So many units, which the script for everything takes after the others.
    Units(u32),
}

type Shadow = bool;

fn asks() -> impl Strategy<Value = Ask> {
    prop_oneof![
        4 => any::<bool>().prop_map(Ask::One),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(one, other)| Ask::Two(one, other)),
        1 => (2_u32..5).prop_map(Ask::Units),
    ]
}

/// A crowd of all kinds at once, and then a wait in thousandths of a window, another limit, units that are given back.
type Crowd = (Vec<Ask>, u64, Option<u32>, u32);

fn crowds() -> impl Strategy<Value = Vec<Crowd>> {
    let asks = proptest::collection::vec(asks(), 1..50);
    proptest::collection::vec((asks, 0_u64..1200, proptest::option::weighted(0.2, limits()), 0_u32..3), 1..12)
}

async fn crowds_agree(both: &Both, quotas: [Quota; 2], crowds: Vec<Crowd>) {
    static CROWDS: AtomicU64 = AtomicU64::new(0);
    let key = Key::new("crowds", CROWDS.fetch_add(1, Ordering::Relaxed));
    let [mut one, other] = quotas;
    let mut now = START;
    for (mut crowd, wait, relimit, refund) in crowds {
        both.stand_at(now);
        // Those of one kind stand together, as they do in a call; so all are decided in this order.
        crowd.sort_unstable();
        let [first, second] = [("one", one), ("other", other)].map(|(name, quota)| {
            let policy = Policy::new(name, quota);
            (policy.clone(), policy.shadow(true))
        });
        let of = |policy: &'static str, shadow: Shadow| {
            let (enforced, shadowed) = if policy == "one" { &first } else { &second };
            if shadow { shadowed } else { enforced }
        };
        let checks: Vec<Vec<Check<'_>>> = crowd
            .iter()
            .map(|ask| match *ask {
                Ask::One(shadow) => vec![Check::new(of("one", shadow), &key)],
                Ask::Two(first, second) => {
                    vec![Check::new(of("one", first), &key), Check::new(of("other", second), &key)]
                }
                Ask::Units(units) => vec![Check::new(of("one", false), &key).cost(units)],
            })
            .collect();
        let said = |decisions: Vec<Decision>| -> Vec<_> {
            decisions.iter().map(|decision| (said(decision), decision.would_deny())).collect()
        };
        // What the quick script hands over is decided after what the other one was asked at the same time. So that the order
        // is known, those who ask for several units come by themselves.
        let at_once = crowd.iter().position(|ask| matches!(ask, Ask::Units(_))).unwrap_or(crowd.len());
        let (singles, several) = checks.split_at(at_once);
        let mut redis = join_all(singles.iter().map(|checks| both.redis.check_all(checks))).await;
        redis.extend(join_all(several.iter().map(|checks| both.redis.check_all(checks))).await);
        for (ask, (checks, redis)) in crowd.iter().zip(checks.iter().zip(redis)) {
            let memory = both.memory.check_all(checks).await;
            assert_eq!(said(redis), said(memory), "redis is left, memory is right; {ask:?} of {one:?} and {other:?}");
        }
        if refund > 0 {
            both.refund(of("one", false), &key, refund).await;
        }
        now += micros(one.window()) * wait / 1000 + wait % 3;
        if let Some(limit) = relimit {
            one = quota(one.algorithm(), limit, one.window(), None);
        }
    }
}

#[test]
fn a_crowd_of_all_kinds_is_answered_as_if_one_came_after_the_other() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let forms = [(true, Algorithm::SlidingWindow)].into_iter().chain(ALGORITHMS.map(|algorithm| (false, algorithm)));
    for (compact, algorithm) in forms {
        let both = runtime.block_on(Both::new(compact, Duration::ZERO));
        let others = proptest::sample::select(&ALGORITHMS[..]);
        let strategy = (limits(), windows(), proptest::option::of(1_u32..200), others, 1_u32..30, crowds());
        let result = runner().run(&strategy, |(limit, window, burst, other, other_limit, crowds)| {
            let quotas = [quota(algorithm, limit, window, burst), quota(other, other_limit, window, None)];
            runtime.block_on(crowds_agree(&both, quotas, crowds));
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{algorithm}{}: {error}", if compact { ", compact" } else { "" }));
    }
}

/// What a clock that steps may do: the longest wait for one unit, and the most that is allowed while it stands still.
#[test]
fn a_clock_that_steps_locks_no_client_out_and_gives_at_most_one_quota_per_step() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for algorithm in ALGORITHMS {
        let both = runtime.block_on(Both::new(false, Duration::ZERO));
        let jumps = proptest::collection::vec((0_u64..7200, 0_u32..12, any::<bool>()), 1..20);
        let strategy = (1_u32..8, 1_u64..100, jumps);
        let case = AtomicU64::new(0);
        let result = runner().run(&strategy, |(limit, window, jumps)| {
            let quota = Quota::try_new(algorithm, limit, Duration::from_secs(window)).unwrap();
            let policy = Policy::new("stepping", quota);
            let key = Key::new("case", case.fetch_add(1, Ordering::Relaxed));
            // Counters that weigh two windows can take both of them to forget.
            let longest = if algorithm == Algorithm::SlidingCounter { 2 * window } else { window };
            for (second, checks, at_once) in jumps {
                // Anywhere within an hour before and after, so that steps are as often back as forth.
                both.stand_at(START + second * 1_000_000);
                for limiter in [&both.memory, &both.redis] {
                    let mut units = 0;
                    let checks = (0..checks).map(|_| limiter.check(&policy, &key));
                    let decisions = if at_once {
                        runtime.block_on(join_all(checks))
                    } else {
                        checks.map(|check| runtime.block_on(check)).collect()
                    };
                    for decision in &decisions {
                        let (allowed, _, _, retry) = said(decision);
                        units += u32::from(allowed);
                        prop_assert!(retry.is_none_or(|retry| retry <= longest * 1_000_000), "{quota:?}: {retry:?}");
                    }
                    prop_assert!(units <= limit, "{quota:?} allowed {units} at once");
                }
                let name = format!("ratelimit:{{{}}}:stepping:*", key_text(&key));
                for name in both.server.command::<Vec<String>>(&["KEYS", &name]) {
                    let ttl: i64 = both.server.command(&["PTTL", &name]);
                    let bound = i64::try_from(2 * window).unwrap() * 1000 + 1000;
                    prop_assert!(checks == 0 || (1..=bound).contains(&ttl), "{name}: {ttl}");
                }
            }
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
    }
}

fn key_text(key: &Key) -> String {
    format!("{key:?}").replace("Key(\"case\" \"", "case:").replace("\")", "")
}

/// One moment of a client: how long after the last, what it asks for in thousandths of the limit and how often, and
/// whether a charge made so many ago is given back.
type Moment = (u64, u32, usize, Option<usize>);

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    // Within an entry, within a few, within a window.
    let wait = prop_oneof![0_u64..200, 0_u64..5_000, 0_u64..400_000];
    let give_back = proptest::option::weighted(0.2, 0_usize..6);
    proptest::collection::vec((wait, 0_u32..300, 1_usize..12, give_back), 1..60)
}

/// Of the sliding window, against nothing but a list of what was allowed when: never more than the limit, and no unit held
/// longer than a 1024th of the window too long; up to a limit of 512, not a microsecond.
async fn holds(both: &Both, limit: u32, window: Duration, moments: Vec<Moment>) {
    static CLIENT: AtomicU64 = AtomicU64::new(0);
    let key = Key::new("held", CLIENT.fetch_add(1, Ordering::Relaxed));
    let policy = Policy::new("held", Quota::sliding_window(limit, window));
    let length = micros(window);
    let too_long = if limit > 512 { length / 1024 + 1 } else { 0 };
    let (mut allowed, mut now): (Vec<(u64, Charge)>, u64) = (Vec::new(), START);
    for (wait, share, times, give_back) in moments {
        now += u64::try_from(u128::from(length) * u128::from(wait) / 1_000_000).unwrap();
        both.stand_at(now);
        let cost = (u64::from(limit) * u64::from(share) / 1000).max(1);
        let mut waited = 0;
        for _ in 0..times {
            let held = |longer| -> u64 {
                let counts = |(at, _): &&(u64, Charge)| now - at < length + longer;
                allowed.iter().filter(counts).map(|(_, charge)| u64::from(charge.cost)).sum()
            };
            let (least, most) = (held(0) + cost, held(too_long) + cost);
            let told = both.check(&policy, &key, cost.try_into().unwrap()).await;
            assert!(told.allowed || waited == 0, "waiting that long is enough");
            if !told.allowed {
                assert!(most > limit.into(), "a unit is held too long: {most} of {limit}");
                if times % 2 == 0 {
                    break;
                }
                waited = told.retry.unwrap();
                now += waited;
                both.stand_at(now);
                continue;
            }
            waited = 0;
            assert!(least <= limit.into(), "more than the limit: {least} of {limit}");
            let (policy, decisions, cost) = (policy.clone(), told.decisions, cost.try_into().unwrap());
            allowed.push((now, Charge { policy, decisions, cost, receipt: 0, life: 0, at: now, gone: false }));
        }
        if let Some(at) = give_back.and_then(|back| allowed.len().checked_sub(1 + back)) {
            let (_, charge) = allowed.remove(at);
            both.give_back(&charge, charge.cost).await;
        }
    }
}

#[test]
fn of_any_limit_never_more_is_allowed_and_no_unit_is_held_longer_than_a_thousandth_of_the_window_too_long() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for compact in [false, true] {
        let both = runtime.block_on(Both::new(compact, Duration::ZERO));
        let limits = prop_oneof![1_u32..130, 500_u32..520, Just(5000), Just(1_000_000), Just(u32::MAX)];
        let result = runner().run(&(limits, windows(), moments()), |(limit, window, moments)| {
            runtime.block_on(holds(&both, limit, window, moments));
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    }
    println!("the sliding window: {} sequences hold, in memory and in Redis", 2 * sequences());
}

/// The most that may be allowed in an interval of `length`.
fn allowed_in(quota: &Quota, length: u64) -> f64 {
    let limit = f64::from(quota.limit());
    match quota.algorithm() {
        Algorithm::SlidingWindow => limit,
        Algorithm::TokenBucket => {
            #[expect(clippy::cast_precision_loss, reason = "far below what a double holds")]
            let share = length as f64 / micros(quota.window()) as f64;
            f64::from(quota.capacity()) + limit * share
        }
        _ => 2.0 * limit,
    }
}

#[test]
fn no_interval_of_the_history_holds_more_than_the_rule_allows() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let steps = proptest::collection::vec((0_u64..400, 1_u32..6), 1..120);
    for algorithm in ALGORITHMS {
        let strategy = (1_u32..20, windows(), proptest::option::of(1_u32..40), &steps);
        let result = runner().run(&strategy, |(limit, window, burst, steps)| {
            let quota = quota(algorithm, limit, window, burst);
            let clock = ManualClock::new();
            let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
            let policy = Policy::new("p", quota);
            let mut history: Vec<(u64, u64)> = Vec::new();
            let mut now = START;
            for (thousandths, cost) in steps {
                now += micros(window) * thousandths / 1000;
                clock.set(Duration::from_micros(now));
                if runtime.block_on(limiter.check_cost(&policy, &Key::global(), cost)).allowed() {
                    history.push((now, u64::from(cost)));
                }
            }
            let longest = if algorithm == Algorithm::TokenBucket { u64::MAX } else { micros(window) };
            for (i, (from, _)) in history.iter().enumerate() {
                let mut allowed = 0;
                for (at, cost) in history.iter().skip(i).take_while(|(at, _)| at - from < longest) {
                    allowed += cost;
                    #[expect(clippy::cast_precision_loss, reason = "far below what a double holds")]
                    let allowed = allowed as f64;
                    prop_assert!(allowed <= allowed_in(&quota, at - from) + 1e-6, "{quota:?}");
                }
            }
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
    }
}

/// Steps of (seconds, cost, allowed, remaining, seconds to the retry).
async fn vector(quota: Quota, steps: &[(f64, u32, bool, u32, Option<f64>)]) {
    let both = Both::new(false, Duration::ZERO).await;
    let policy = Policy::new("vector", quota);
    for &(at, cost, allowed, remaining, retry) in steps {
        let now = START + micros(Duration::from_secs_f64(at));
        both.stand_at(now);
        let told = both.check(&policy, &Key::global(), cost).await;
        let retry = retry.map(|retry| micros(Duration::from_secs_f64(retry)));
        assert_eq!((told.allowed, told.remaining, told.retry), (allowed, remaining, retry), "at {at} s, cost {cost}");
    }
}

#[tokio::test]
async fn the_vector_of_the_token_bucket() {
    let steps = [
        (0.0, 6, false, 5, None),
        (0.0, 1, true, 4, None),
        (0.0, 1, true, 3, None),
        (0.0, 1, true, 2, None),
        (0.0, 1, true, 1, None),
        (0.0, 1, true, 0, None),
        (0.0, 1, false, 0, Some(1.0)),
        (3.0, 1, true, 2, None),
        (8.0, 1, true, 4, None),
        (9.5, 1, true, 4, None),
        (9.5, 2, true, 2, None),
        (9.5, 5, false, 2, Some(3.0)),
    ];
    vector(Quota::token_bucket(5, Duration::from_secs(5)).burst(5), &steps).await;
}

#[tokio::test]
async fn the_vectors_of_the_sliding_window() {
    let minute =
        [(0.0, 1, true, 1, None), (1.0, 1, true, 0, None), (2.0, 1, false, 0, Some(58.0)), (60.0, 1, true, 0, None)];
    vector(Quota::sliding_window(2, Duration::from_secs(60)), &minute).await;
    let costs =
        [(0.3, 5, true, 5, None), (1.9, 5, true, 0, None), (1.95, 1, false, 0, Some(0.35)), (2.35, 5, true, 0, None)];
    vector(Quota::sliding_window(10, Duration::from_secs(2)), &costs).await;
}

#[tokio::test]
async fn the_vector_of_the_sliding_counter() {
    // Previous 42, current 18, 15 s into 60: 49.5 are counted, so that 50 of 100 are left.
    let steps = [(0.0, 42, true, 58, None), (60.0, 18, true, 40, None), (75.0, 0, true, 50, None)];
    vector(Quota::sliding_counter(100, Duration::from_secs(60)), &steps).await;
}

#[tokio::test]
async fn no_rate_is_rounded() {
    // 3000 a second are 3000, not 1000: after 7 ms, 21 tokens are back.
    let second = Duration::from_secs(1);
    vector(Quota::token_bucket(3000, second), &[(0.0, 3000, true, 0, None), (0.007, 21, true, 0, None)]).await;
    vector(Quota::token_bucket(3000, second), &[(0.0, 3000, true, 0, None), (0.007, 22, false, 21, Some(0.000_334))])
        .await;
    // The first of ten leaves nine.
    vector(Quota::token_bucket(10, second), &[(0.0, 1, true, 9, None)]).await;
    // Seven in three seconds: all of it is back after three, not before.
    let seven = Quota::token_bucket(7, Duration::from_secs(3));
    vector(seven, &[(0.0, 7, true, 0, None), (2.999_999, 7, false, 6, Some(0.000_001)), (3.0, 7, true, 0, None)]).await;
    let year = Duration::from_secs(365 * 86_400);
    let steps = [(0.0, 1, true, 0, None), (1.0, 1, false, 0, Some(31_535_999.0)), (31_536_000.0, 1, true, 0, None)];
    vector(Quota::token_bucket(1, year), &steps).await;
    vector(Quota::sliding_window(1, year), &steps).await;
    vector(Quota::fixed_window(1, year), &steps).await;
}
