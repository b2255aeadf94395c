//! Vectors, in numbers.

use super::*;

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
