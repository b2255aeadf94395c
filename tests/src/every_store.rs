//! One behaviour on every store.

/// Makes a test of each of these functions for memory, Redis and Upstash. Each takes a limiter. Afterwards every key in Redis
/// has a lifetime of at most so many milliseconds.
#[macro_export]
macro_rules! on_every_store {
    (lifetimes <= $longest:expr; $($behaviour:ident)+) => {
        mod memory {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(rateguard::RateGuard::memory()).await;
            })+
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $behaviour() {
                let server = $crate::RedisServer::start();
                super::$behaviour($crate::connected(rateguard::RateGuard::builder(), &server).await).await;
                server.assert_lifetimes($longest);
            })+
        }

        mod upstash {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $behaviour() {
                let redis = $crate::RedisServer::start();
                let server = $crate::UpstashServer::start(&redis);
                super::$behaviour($crate::connected_upstash(rateguard::RateGuard::builder(), &server).await).await;
                redis.assert_lifetimes($longest);
            })+
        }
    };
}
