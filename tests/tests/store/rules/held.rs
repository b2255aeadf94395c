//! How long a unit is held, and how much an interval holds.

use super::*;

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
