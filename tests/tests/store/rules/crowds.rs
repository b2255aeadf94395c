//! Many checks at once.

use super::*;

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
