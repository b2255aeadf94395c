//! What checks: rateguard, or the reference, one `INCR` of the client's key, which a caller gives up at the deadline.

use futures_util::future::join_all;
use rateguard::{Key, Policy, Quota, RateGuard};
use rateguard_tests::{DelayLine, RedisServer, connected};
use redis::aio::MultiplexedConnection;

use super::tally::Outcome;
use super::{DEADLINE, LIMIT};
use crate::client::connection;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Incr,
    Redis,
    Compact,
}

impl Kind {
    pub(super) const ALL: [Kind; 3] = [Kind::Incr, Kind::Redis, Kind::Compact];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Incr => "incr",
            Kind::Redis => "rateguard, Redis",
            Kind::Compact => "rateguard, Redis, compact",
        }
    }
}

/// One that is connected.
pub(super) enum Checker {
    Incr { redis: MultiplexedConnection, clients: u32 },
    Ours { limiter: RateGuard, policy: Policy, keys: Vec<Key> },
}

impl Checker {
    /// Connects, and warms up the code and the connection.
    pub(super) async fn start(kind: Kind, line: &DelayLine, clients: u32) -> Checker {
        let checker = match kind {
            Kind::Incr => Checker::Incr { redis: connection(&line.url()).await, clients },
            Kind::Redis | Kind::Compact => {
                let builder = RateGuard::builder().redis(line.url()).deadline(DEADLINE);
                let limiter = builder.compact_log(kind == Kind::Compact).build().expect("a limiter");
                while limiter.ready().await.is_err() {}
                let policy = Policy::new("overload", Quota::sliding_window(LIMIT, std::time::Duration::from_secs(60)));
                Checker::Ours { limiter, policy, keys: (0..clients).map(Key::user).collect() }
            }
        };
        for client in 0..200 {
            checker.check(client).await;
        }
        checker
    }

    /// The check with this number. Neighbours are of different clients.
    pub(super) async fn check(&self, number: u64) -> Outcome {
        let client = |clients: usize| usize::try_from(number.wrapping_mul(7919) % clients as u64).unwrap_or(0);
        match self {
            Checker::Incr { redis, clients } => {
                let mut incr = redis::cmd("INCR");
                incr.arg(client(*clients as usize));
                let mut redis = redis.clone();
                match tokio::time::timeout(DEADLINE, incr.query_async::<u64>(&mut redis)).await {
                    Ok(Ok(_)) => Outcome::Counted,
                    Ok(Err(_)) => Outcome::Failed("error"),
                    Err(_) => Outcome::Failed("timeout"),
                }
            }
            Checker::Ours { limiter, policy, keys } => {
                let Some(key) = keys.get(client(keys.len())) else { return Outcome::Failed("no client") };
                let decision = limiter.check(policy, key).await;
                match decision.degraded_reason() {
                    _ if !decision.allowed() => Outcome::Failed("denied"),
                    None => Outcome::Counted,
                    Some(reason) => Outcome::Degraded(reason.as_str()),
                }
            }
        }
    }

    /// The units that the server has counted.
    pub(super) async fn charged(&self, server: &RedisServer) -> u64 {
        match self {
            Checker::Incr { .. } => {
                let counts = redis::cmd("MGET").arg(server.keys()).query::<Vec<u64>>(&mut server.connection());
                counts.expect("their counts").iter().sum()
            }
            Checker::Ours { policy, keys, .. } => {
                let patient = connected(RateGuard::builder(), server).await;
                let mut units = 0;
                for some in keys.chunks(256) {
                    for seen in join_all(some.iter().map(|key| patient.peek(policy, key))).await {
                        units += u64::from(LIMIT - seen.expect("Redis answers").remaining());
                    }
                }
                units
            }
        }
    }
}
