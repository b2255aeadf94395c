//! Windows, rates and limits that change.

use super::*;

#[tokio::test]
async fn what_was_charged_under_a_window_made_longer_counts_for_all_of_it() {
    for mut timed in Timed::both().await {
        for (make, limits) in
            [(WINDOWS[0], &[50, 127, 128, 300, 700, 2000][..]), (WINDOWS[1], &[50]), (WINDOWS[2], &[50])]
        {
            for &limit in limits {
                let name = format!("longer-{:?}-{limit}", make(1, HOUR).algorithm());
                let short = Policy::try_new(name.clone(), make(limit, Duration::from_millis(300))).unwrap();
                let long = Policy::try_new(name, make(limit, HOUR)).unwrap();
                assert_eq!(timed.allowed(&short, 1).await, 1);
                // No denial: it would be kept for the longer window as well.
                let mut allowed = timed.allowed(&long, limit - 1).await;
                timed.pass(Duration::from_secs(2));
                allowed += timed.allowed(&long, limit + 5).await;
                assert_eq!(allowed, limit - 1, "{}", long.name());
            }
        }
    }
}

#[tokio::test]
async fn of_two_servers_with_different_windows_neither_weakens_the_other() {
    for mut timed in Timed::both().await {
        for make in WINDOWS {
            let name = format!("mixed-{}", make(1, HOUR).algorithm());
            let strict = Policy::try_new(name.clone(), make(10, HOUR)).unwrap();
            let lax = Policy::try_new(name, make(10, Duration::from_millis(200))).unwrap();
            let (mut by_strict, mut by_lax) = (0, 0);
            for _ in 0..90 {
                by_strict += timed.allowed(&strict, 1).await;
                by_lax += timed.allowed(&lax, 1).await;
                timed.pass(Duration::from_millis(20));
            }
            assert!(by_strict <= 5 && by_strict + by_lax > 60, "{}: {by_strict}, {by_lax}", strict.name());
            timed.pass(Duration::from_secs(1800));
            assert_eq!((timed.allowed(&strict, 1).await, timed.allowed(&lax, 20).await), (0, 10), "{}", strict.name());
            timed.pass(2 * HOUR);
            assert_eq!(timed.allowed(&strict, 20).await, 10);
            timed.pass(2 * HOUR);
        }
        // The bucket that refills slowly is not refilled by the other.
        let strict = Policy::new("mixed-bucket", Quota::token_bucket(10, HOUR));
        let lax = Policy::new("mixed-bucket", Quota::token_bucket(1000, Duration::from_secs(1)));
        assert_eq!(timed.allowed(&strict, 20).await, 10);
        for _ in 0..10 {
            assert_eq!(timed.allowed(&lax, 50).await, 50);
            timed.pass(Duration::from_secs(1));
            assert_eq!(timed.allowed(&strict, 3).await, 0);
        }
        timed.pass(Duration::from_secs(360));
        assert_eq!(timed.allowed(&strict, 3).await, 1);
    }
}

#[tokio::test]
async fn a_refund_under_a_shorter_window_takes_nothing_from_a_longer_one() {
    for mut timed in Timed::both().await {
        for limit in [20, 300, 700] {
            let name = format!("refund-{limit}");
            let long = Policy::try_new(name.clone(), Quota::sliding_window(limit, HOUR)).unwrap();
            let short = Policy::try_new(name, Quota::sliding_window(limit, Duration::from_millis(300))).unwrap();
            assert_eq!(timed.allowed(&long, limit).await, limit);
            timed.pass(Duration::from_secs(3));
            timed.limiter.refund(&short, &Key::user("u"), 1).await.unwrap();
            timed.pass(Duration::from_secs(10));
            assert_eq!(timed.allowed(&long, 5).await, 0, "nothing of what counts in the short window was there");
        }
    }
}

#[tokio::test]
async fn what_a_short_window_has_allowed_weighs_on_a_long_one_however_much_it_is() {
    for mut timed in Timed::both().await {
        let lax = Policy::new("much", Quota::sliding_counter(u32::MAX, Duration::from_millis(1)));
        let strict = Policy::new("much", Quota::sliding_counter(10, 24 * HOUR));
        assert_eq!(timed.allowed(&strict, 1).await, 1);
        // With that unit 2^35 and one.
        for cost in [u32::MAX - 1; 8].into_iter().chain([16]) {
            assert!(timed.check(&lax, cost).await.allowed());
            timed.pass(Duration::from_millis(3));
        }
        // They are those of the window before.
        timed.pass(25 * HOUR);
        assert_eq!(timed.allowed(&strict, 5).await, 0);
    }
}

#[tokio::test]
async fn a_change_of_rate_converts_what_a_bucket_has_left() {
    for mut timed in Timed::both().await {
        let fast = Policy::new("lowered", Quota::token_bucket(10, Duration::from_secs(1)));
        let slow = Policy::new("lowered", Quota::token_bucket(10, HOUR));
        assert_eq!(timed.allowed(&fast, 20).await, 10);
        assert_eq!(timed.allowed(&slow, 20).await, 0);
        // Having denied, it goes by the new rate.
        timed.pass(Duration::from_secs(359));
        assert_eq!(timed.allowed(&slow, 20).await, 0);
        timed.pass(Duration::from_secs(1));
        assert_eq!(timed.allowed(&slow, 20).await, 1);

        let few = Policy::new("raised", Quota::token_bucket(10, MINUTE));
        let many = Policy::new("raised", Quota::token_bucket(1000, MINUTE));
        assert_eq!(timed.allowed(&few, 20).await, 10);
        assert_eq!(timed.allowed(&many, 20).await, 20);
        assert_eq!(timed.remaining(&many).await, 970);
    }
}

#[tokio::test]
async fn a_sliding_counter_made_longer_counts_its_units_until_they_are_as_old_as_the_new_window() {
    for mut timed in Timed::both().await {
        let short = Policy::new("in-full", Quota::sliding_counter(4, MINUTE));
        let long = Policy::new("in-full", Quota::sliding_counter(4, HOUR));
        let first = timed.check(&short, 3).await;
        timed.pass(MINUTE);
        let second = timed.check(&short, 1).await;
        assert!(first.allowed() && second.allowed());
        assert!(!timed.check(&long, 1).await.allowed());
        timed.pass(Duration::from_micros(59 * 60_000_000 - 1));
        assert_eq!(timed.remaining(&long).await, 0, "all four are younger than an hour");
        timed.give_back(&second).await;
        assert_eq!(timed.remaining(&long).await, 1);
        timed.give_back(&first).await;
        assert_eq!(timed.remaining(&long).await, 4);
    }
}

#[tokio::test]
async fn a_burst_that_is_lowered_and_raised_again_gives_no_tokens_back() {
    for mut timed in Timed::both().await {
        let of = |burst| Policy::new("bursts", Quota::token_bucket(60, MINUTE).burst(burst));
        let (large, small, larger) = (of(100), of(10), of(200));
        assert_eq!(timed.allowed(&large, 101).await, 100);
        assert_eq!(timed.allowed(&small, 5).await, 0);
        assert_eq!(timed.allowed(&large, 5).await, 0);
        timed.pass(Duration::from_secs(7));
        assert_eq!(timed.allowed(&small, 20).await, 7);
        assert_eq!(timed.allowed(&large, 20).await, 0, "what one bucket gives is taken from all");
        timed.pass(Duration::from_secs(3));
        assert_eq!(timed.allowed(&large, 20).await, 3);
        assert_eq!(timed.remaining(&larger).await, 100, "as many are missing as from the emptiest bucket");
        timed.pass(Duration::from_secs(100));
        assert_eq!((timed.remaining(&large).await, timed.remaining(&small).await), (100, 10));
    }
}

#[tokio::test]
async fn a_cost_of_nothing_is_allowed_also_where_a_lowered_limit_is_exceeded() {
    for timed in Timed::both().await {
        for make in [WINDOWS[0], WINDOWS[1], WINDOWS[2], Quota::token_bucket as Make] {
            let name = format!("nothing-{}", make(1, HOUR).algorithm());
            let high = Policy::try_new(name.clone(), make(100, HOUR)).unwrap();
            let low = Policy::try_new(name, make(10, HOUR)).unwrap();
            let other = Policy::new("other", Quota::sliding_window(1000, HOUR));
            assert!(timed.check(&high, 80).await.allowed());
            assert!(timed.check(&low, 0).await.allowed(), "{}", low.name());
            let key = Key::user("u");
            let all = [Check::new(&low, &key).cost(0), Check::new(&other, &key)];
            assert!(timed.limiter.check_all(&all).await.iter().all(Decision::allowed), "{}", low.name());
            assert!(!timed.check(&low, 1).await.allowed());
        }
    }
}

#[tokio::test]
async fn a_bucket_is_told_by_what_it_holds() {
    let limiter = RateGuard::memory();
    let policy = Policy::new("burst", Quota::token_bucket(600, MINUTE).burst(100));
    let first = limiter.check(&policy, &Key::global()).await;
    assert_eq!((first.limit(), first.remaining()), (100, 99));
}

#[tokio::test]
async fn a_clock_at_its_end_stops_nothing() {
    for make in [WINDOWS[0], WINDOWS[1], WINDOWS[2], Quota::token_bucket as Make] {
        let clock = ManualClock::new();
        clock.set(Duration::from_micros(u64::MAX));
        let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
        let policy = Policy::new("late", make(2, Quota::MAX_WINDOW));
        let key = Key::global();
        for allowed in [true, true, false] {
            assert_eq!(limiter.check(&policy, &key).await.allowed(), allowed);
        }
        limiter.refund(&policy, &key, 1).await.unwrap();
        assert!(limiter.check(&policy, &key).await.allowed());
        clock.set(Duration::ZERO);
        assert!(!limiter.check(&policy, &key).await.allowed());
    }
}
