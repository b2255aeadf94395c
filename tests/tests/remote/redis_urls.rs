//! Every way to a Redis that a URL can name.

use std::time::{Duration, Instant};

use rateguard::{Key, Policy, Quota, RateGuard, RateGuardBuilder, StoreErrorKind};
use rateguard_tests::{Authority, RedisCluster, RedisServer, Sentinels, free_port};

fn policy() -> Policy {
    Policy::new("url", Quota::sliding_window(2, Duration::from_secs(60)))
}

fn builder(url: impl AsRef<str>) -> RateGuardBuilder {
    RateGuard::builder().redis(url).deadline(Duration::from_secs(20))
}

async fn counts(builder: RateGuardBuilder, server: &RedisServer) {
    let limiter = builder.build().unwrap();
    for remaining in [1, 0] {
        let decision = limiter.check(&policy(), &Key::global()).await;
        assert_eq!(decision.degraded_reason(), None);
        assert_eq!(decision.remaining(), remaining);
    }
    let left: i64 = server.command(&["DEL", "ratelimit:{global}:url:sw2"]);
    assert_eq!(left, 1, "counted there and nowhere else");
}

#[tokio::test]
async fn a_limiter_shows_its_stores_address_and_state_and_nothing_else() {
    let shown = |limiter: &RateGuard| format!("{limiter:?}");
    assert_eq!(shown(&RateGuard::memory()), r#"RateGuard { store: "memory, 0 keys", .. }"#);

    let mut server = RedisServer::start();
    let address = format!("127.0.0.1:{}", server.port());
    let limiter = builder(format!("redis://:hunter2@{address}")).build().unwrap();
    assert_eq!(shown(&limiter), format!(r#"RateGuard {{ store: "{address}, connecting", .. }}"#));
    let without_password = builder(server.url()).build().unwrap();
    without_password.ready().await.unwrap();
    assert_eq!(shown(&without_password), format!(r#"RateGuard {{ store: "{address}, connected", .. }}"#));
    server.kill();
    let patience = Instant::now() + Duration::from_secs(30);
    while without_password.ready().await.is_ok() {
        assert!(Instant::now() < patience);
    }
    assert_eq!(shown(&without_password), format!(r#"RateGuard {{ store: "{address}, down: unreachable", .. }}"#));

    let cluster = RateGuard::redis("redis+cluster://:hunter2@127.0.0.1:1,127.0.0.1:2").unwrap();
    let shown = shown(&cluster);
    assert!(shown.starts_with(r#"RateGuard { store: "the cluster of 127.0.0.1:1,127.0.0.1:2, "#), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn user_password_and_database() {
    let server = RedisServer::start();
    let _: String = server.command(&["ACL", "SETUSER", "someone", "on", ">p@ss#1", "~*", "+@all"]);
    let limiter = builder(format!("redis://someone:p%40ss%231@127.0.0.1:{}/3", server.port())).build().unwrap();
    assert_eq!(limiter.check(&policy(), &Key::global()).await.degraded_reason(), None);
    let keyspace: String = server.command(&["INFO", "keyspace"]);
    assert!(keyspace.contains("db3:") && !keyspace.contains("db0:"), "{keyspace}");
}

#[tokio::test]
async fn a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("redis.sock");
    let server = RedisServer::start_with(&["--unixsocket", socket.to_str().unwrap()]);
    for scheme in ["redis+unix", "unix"] {
        counts(builder(format!("{scheme}://{}", socket.display())), &server).await;
    }
    let gone = RateGuard::redis(format!("unix://{}.not", socket.display())).unwrap();
    assert_eq!(gone.ready().await.unwrap_err().kind(), StoreErrorKind::Unreachable);
}

#[tokio::test]
async fn the_master_that_the_sentinels_name() {
    let sentinels = Sentinels::start();
    counts(builder(sentinels.url()), &sentinels.master).await;
    let unknown = builder(sentinels.url().replace("mymaster", "another")).build().unwrap();
    let error = unknown.ready().await.unwrap_err();
    assert!(error.to_string().contains("does not know the master \"another\""), "{error}");
}

fn tls_server(authority: &Authority, clients: &str) -> (RedisServer, String) {
    let port = free_port();
    let arguments = authority.server_arguments(port);
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.extend(["--tls-auth-clients", clients]);
    let server = RedisServer::start_with(&arguments);
    (server, format!("rediss://127.0.0.1:{port}"))
}

#[tokio::test]
async fn tls_with_an_authority_and_a_certificate_of_ones_own() {
    let authority = Authority::new();
    let (server, url) = tls_server(&authority, "no");
    counts(builder(&url).tls_ca(authority.read("ca.pem")), &server).await;

    let reason = async |builder: RateGuardBuilder| builder.build().unwrap().ready().await.unwrap_err().kind();
    assert_eq!(reason(builder(&url)).await, StoreErrorKind::Tls, "the system does not know this authority");
    let stranger = Authority::new().read("ca.pem");
    assert_eq!(reason(builder(&url).tls_ca(stranger)).await, StoreErrorKind::Tls);

    let (server, url) = tls_server(&authority, "yes");
    let known = builder(&url)
        .tls_ca(authority.read("ca.pem"))
        .tls_client_certificate(authority.read("client.pem"), authority.read("client.key"));
    counts(known, &server).await;
    let refused = reason(builder(&url).tls_ca(authority.read("ca.pem"))).await;
    assert!(matches!(refused, StoreErrorKind::Tls | StoreErrorKind::Unreachable), "{refused:?}");
}

#[tokio::test]
async fn a_cluster_by_tls_whose_slots_move_to_other_nodes() {
    let authority = Authority::new();
    let (cluster, url) = RedisCluster::start_tls(&authority);
    let limiter = builder(&url).tls_ca(authority.read("ca.pem")).build().unwrap();
    limiter.ready().await.unwrap();
    let spend = async |left: u32| {
        for n in 0..30 {
            let decision = limiter.check(&policy(), &Key::user(n)).await;
            assert_eq!((decision.degraded_reason(), decision.remaining()), (None, left), "user {n}");
        }
    };
    spend(1).await;
    let masters = cluster.nodes[..3].iter().filter(|node| node.keys().iter().any(|key| key.contains("{user:"))).count();
    assert_eq!(masters, 3, "each of them has some");

    let replica = &cluster.nodes[3];
    let _: String = replica.command(&["CLUSTER", "FAILOVER"]);
    let patience = Instant::now() + Duration::from_secs(30);
    while !replica.is_master() {
        assert!(Instant::now() < patience, "no failover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    spend(0).await;

    let stranger = builder(&url).tls_ca(Authority::new().read("ca.pem")).build().unwrap();
    assert_eq!(stranger.ready().await.unwrap_err().kind(), StoreErrorKind::Tls);
}

#[test]
fn invalid_or_unused_certificates_are_an_error() {
    let error = builder("rediss://localhost").tls_ca("what").tls_client_certificate("a", "b").build().unwrap_err();
    assert!(error.to_string().contains("tls_ca and tls_client_certificate"), "{error}");
    let error = builder("rediss://localhost").tls_ca("what").build().unwrap_err();
    assert!(error.to_string().contains("-----BEGIN"), "{error}");
    let error = builder("redis://localhost").tls_ca("what").build().unwrap_err();
    assert!(error.to_string().contains("rediss://"), "{error}");
}
