//! A clock that steps.

use super::*;

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
