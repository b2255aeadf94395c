//! The model, memory and Redis agree on any sequence.

use super::*;

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
