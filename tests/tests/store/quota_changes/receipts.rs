//! What is given back across a change.

use super::*;

#[tokio::test]
async fn a_give_back_is_of_the_very_units_that_were_charged() {
    for mut timed in Timed::both().await {
        // An estimate of 4000, of which 3000 come back after five seconds.
        let tokens = Policy::new("tokens", Quota::sliding_window(20_000, MINUTE));
        let mut served = 0;
        let mut pending: Vec<(u64, Decision)> = Vec::new();
        for second in 0..60_u64 {
            for (_, decision) in pending.extract_if(.., |(due, _)| *due <= second) {
                timed.give_back(&decision).await;
            }
            let decision = timed.check(&tokens, 4000).await;
            if decision.allowed() {
                served += 1;
                pending.push((second + 5, decision));
            }
            timed.pass(Duration::from_secs(1));
        }
        assert!(served >= 14, "{served} requests a minute");

        let day = Duration::from_secs(86_400);
        let month = Policy::new("month", Quota::sliding_window(10, 30 * day));
        assert_eq!(timed.allowed(&month, 9).await, 9);
        timed.pass(28 * day);
        for _ in 0..9 {
            let decision = timed.check(&month, 1).await;
            timed.give_back(&decision).await;
        }
        timed.pass(2 * day);
        assert_eq!(timed.remaining(&month).await, 10, "what was used on the first day has left");
    }
}

#[tokio::test]
async fn a_receipt_of_units_that_no_longer_count_gives_nothing_back_after_the_window_was_made_longer() {
    for mut timed in Timed::both().await {
        for make in [Quota::sliding_window as Make, Quota::sliding_counter] {
            let name = format!("stale-{}", make(1, HOUR).algorithm());
            let short = Policy::try_new(name.clone(), make(4, MINUTE)).unwrap();
            let long = Policy::try_new(name, make(4, HOUR)).unwrap();
            let stale = timed.check(&short, 4).await;
            timed.pass(3 * MINUTE);
            assert_eq!(timed.allowed(&short, 2).await, 2);
            timed.pass(Duration::from_micros(59_999_999));
            assert_eq!(timed.allowed(&short, 2).await, 2);
            timed.pass(Duration::from_micros(1));
            // A denial keeps what is counted under the longer window.
            assert!(timed.check(&long, 4).await.retry_after().is_some());
            let before = timed.remaining(&long).await;
            timed.give_back(&stale).await;
            assert_eq!(timed.remaining(&long).await, before, "{}", long.name());
            timed.pass(3 * HOUR);
        }
    }
}

#[tokio::test]
async fn a_give_back_reaches_the_buckets_of_all_bursts() {
    for timed in Timed::both().await {
        let of = |burst| Policy::new("bursts", Quota::token_bucket(60, MINUTE).burst(burst));
        let (large, small) = (of(100), of(10));
        assert!(timed.check(&large, 95).await.allowed());
        assert!(!timed.check(&small, 1).await.allowed());
        let last = timed.check(&large, 3).await;
        timed.give_back(&last).await;
        assert_eq!((timed.remaining(&large).await, timed.remaining(&small).await), (5, 3));
    }
}

#[tokio::test]
async fn a_reset_voids_receipts() {
    for mut timed in Timed::both().await {
        let quotas = [
            Quota::sliding_window(3, HOUR),
            Quota::sliding_window(3000, HOUR),
            Quota::sliding_counter(3, HOUR),
            Quota::fixed_window(3, HOUR),
            Quota::token_bucket(3, HOUR),
        ];
        for quota in quotas {
            let policy = Policy::try_new(format!("reset-{}-{}", quota.algorithm(), quota.limit()), quota).unwrap();
            let mut old = Vec::new();
            for _ in 0..3 {
                old.push(timed.check(&policy, quota.limit() / 3).await);
            }
            timed.limiter.reset(&policy, &Key::user("u")).await.unwrap();
            if timed.server.is_some() {
                // The clock of a real server never stands.
                timed.pass(Duration::from_micros(1));
            }
            for _ in 0..3 {
                assert!(timed.check(&policy, quota.limit() / 3).await.allowed());
            }
            for decision in &old {
                assert!(decision.allowed());
                timed.give_back(decision).await;
            }
            assert_eq!(timed.allowed(&policy, 3).await, 0, "{quota:?}");
        }
    }
}
