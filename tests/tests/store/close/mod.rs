//! `limiter.close()`: what was begun is finished, within the deadline, and then the limiter asks its store no more.

mod one_server;
mod others;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::poll;
use rateguard::{Check, Key, OnError, Policy, Quota, RateGuard, RateGuardBuilder, StoreErrorKind};
use rateguard_tests::{
    Fault, Illness, Log, Proxy, RedisCluster, RedisServer, UpstashServer, connected, connected_upstash,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tracing::Level;

const TEN: Policy = Policy::new("ten", Quota::sliding_window(10, Duration::from_secs(60)));
const DEADLINE: Duration = Duration::from_millis(200);
/// A busy machine, and the wait for a task that was aborted.
const MARGIN: Duration = Duration::from_millis(800);

fn alice() -> Key {
    Key::user("alice")
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// How many connections a server has, but for the one that asks.
fn connections(server: &RedisServer) -> usize {
    let list: String = server.command(&["CLIENT", "LIST", "TYPE", "normal"]);
    list.lines().count() - 1
}

/// The system may take a moment to tell the server.
fn assert_no_connections(server: &RedisServer) {
    let patience = Instant::now() + Duration::from_secs(2);
    while connections(server) > 0 {
        assert!(Instant::now() < patience, "{}", server.command::<String>(&["CLIENT", "LIST"]));
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn assert_closed(limiter: &RateGuard) {
    let decision = limiter.check(&TEN, &alice()).await;
    assert_eq!((decision.allowed(), decision.degraded_reason()), (true, Some(StoreErrorKind::Closed)));
    let error = limiter.ready().await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("the limiter was closed")), (StoreErrorKind::Closed, true));
    assert_eq!(limiter.refund(&TEN, &alice(), 1).await.unwrap_err().kind(), StoreErrorKind::Closed);
    assert!(format!("{limiter:?}").contains("closed"), "{limiter:?}");
}

/// Begins to give back what a check has charged, and does not wait for it, as when a client hangs up.
async fn begin_refund(limiter: &RateGuard) {
    let decision = limiter.check_cost(&TEN, &alice(), 4).await;
    assert!(decision.allowed() && !decision.degraded());
    let mut refund = Box::pin(limiter.refund_decision(&decision));
    assert!(poll!(&mut refund).is_pending());
}
