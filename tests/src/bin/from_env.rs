//! A limiter from the environment: prints the limiter or the error, and then the answers to two checks.
#![allow(clippy::expect_used, reason = "a test's own program: what it cannot do, it says")]

use std::time::{Duration, Instant};

use rateguard::{Key, Policy, Quota, RateGuard};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let limiter = match RateGuard::from_env() {
        Ok(limiter) => limiter,
        Err(error) => {
            println!("{error} {error:?}");
            return;
        }
    };
    println!("{limiter:?}");
    let patience = Instant::now() + Duration::from_secs(10);
    while let Err(error) = limiter.ready().await {
        if Instant::now() > patience {
            println!("not ready: {error}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let policy = Policy::new("environment", Quota::sliding_window(2, Duration::from_secs(60)));
    for _ in 0..2 {
        let decision = limiter.check(&policy, &Key::global()).await;
        println!("{} left, {:?}", decision.remaining(), decision.degraded_reason());
    }
}
