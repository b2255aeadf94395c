//! The sentinels make another server the master.

use std::time::{Duration, Instant};

use rateguard::{Key, Policy, Quota, RateGuard};
use rateguard_tests::{RedisServer, Sentinels};

use crate::watch::{MINUTE, Watch, connected, policy};

/// Checks until what is counted is counted by this server. For how long nothing was counted is what is to be seen.
async fn counted_at(watch: &Watch, limiter: &RateGuard, server: &RedisServer) {
    let patience = Instant::now() + Duration::from_secs(40);
    let mut uncounted: Option<(Instant, Instant)> = None;
    loop {
        let decision = watch.check(limiter, &policy("moved"), &Key::user("moved")).await;
        if decision.degraded() {
            let first = uncounted.map_or_else(Instant::now, |(first, _)| first);
            uncounted = Some((first, Instant::now()));
        }
        let is_master = server.is_master();
        if !decision.degraded() && is_master && server.keys().iter().any(|key| key.contains("moved")) {
            let gap = uncounted.map_or(0.0, |(first, last)| (last - first).as_secs_f32());
            watch.note(format!("nothing was counted for {gap:.2} s"));
            return;
        }
        assert!(Instant::now() < patience, "R: {:?}", decision.degraded_reason());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn by_hand(watch: &'static Watch) {
    let sentinels = Sentinels::start();
    let limiter = connected(sentinels.url()).await;
    let _ = watch.check(&limiter, &policy("before"), &Key::global()).await;
    assert!(!sentinels.master.keys().is_empty());
    sentinels.fail_over();
    let asked = Instant::now();
    counted_at(watch, &limiter, &sentinels.replica).await;
    watch.recovers(&limiter).await;
    watch.note(format!("counted by the new master {:.2} s after the command", asked.elapsed().as_secs_f32()));
}

pub(crate) async fn killed(watch: &'static Watch) {
    let mut sentinels = Sentinels::start();
    let limiter = connected(sentinels.url()).await;
    let two = Policy::new("two", Quota::sliding_window(2, MINUTE));
    assert!(watch.check(&limiter, &two, &Key::global()).await.allowed());
    // The one that is asked first goes as well.
    sentinels.kill_first_sentinel();
    sentinels.master.kill();
    let killed = Instant::now();
    counted_at(watch, &limiter, &sentinels.replica).await;
    watch.recovers(&limiter).await;
    watch.note(format!("counted by the new master {:.2} s after the old one died", killed.elapsed().as_secs_f32()));
    while watch.check(&limiter, &two, &Key::global()).await.allowed() {}
}
