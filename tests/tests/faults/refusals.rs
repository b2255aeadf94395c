//! The server is there, and says no.

use std::time::Duration;

use rateguard::{Check, Key, Policy, Quota, RateGuard, StoreErrorKind};
use rateguard_tests::{RedisServer, ServerProgram, free_port, one_of_each_form};

use crate::watch::{MINUTE, Watch, connected, limiter, policy};

pub(crate) async fn password(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = connected(server.url()).await;
    let set = |password: &str| {
        // Both in one connection: the next one would have to know the password.
        let mut connection = server.connection();
        let _: () = redis::cmd("CONFIG").arg("SET").arg("requirepass").arg(password).query(&mut connection).unwrap();
        let _: i64 = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").query(&mut connection).unwrap();
        connection
    };
    let mut connection = set("secret");
    watch.until_reason(&limiter, StoreErrorKind::Authentication).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _: () = redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("").query(&mut connection).unwrap();
    watch.recovers(&limiter).await;

    // The URL has the new password already, the server not yet.
    let early = crate::watch::limiter(format!("redis://someone:new@127.0.0.1:{}", server.port()));
    watch.until_reason(&early, StoreErrorKind::Authentication).await;
    let _: String = server.command(&["ACL", "SETUSER", "someone", "on", ">new", "~*", "+@all"]);
    watch.recovers(&early).await;
}

async fn acl_limiter(server: &RedisServer) -> RateGuard {
    let _: String = server.command(&["ACL", "SETUSER", "someone", "on", ">pass", "~*", "+@all"]);
    connected(format!("redis://someone:pass@127.0.0.1:{}", server.port())).await
}

pub(crate) async fn acl_evalsha(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = acl_limiter(&server).await;
    let _: String = server.command(&["ACL", "SETUSER", "someone", "-evalsha"]);
    watch.until_reason(&limiter, StoreErrorKind::Forbidden).await;
    let error = limiter.peek(&policy("p"), &Key::global()).await.unwrap_err();
    assert!(error.to_string().contains("evalsha"), "it says which: {error}");
    let _: String = server.command(&["ACL", "SETUSER", "someone", "+evalsha"]);
    watch.recovers(&limiter).await;
}

pub(crate) async fn acl_inside(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = acl_limiter(&server).await;
    let small = Policy::new("small", Quota::sliding_window(5, MINUTE));
    let _: String = server.command(&["ACL", "SETUSER", "someone", "-zadd"]);
    let decision = watch.check(&limiter, &small, &Key::global()).await;
    assert_eq!(decision.degraded_reason(), Some(StoreErrorKind::Forbidden));
    assert!(!watch.check(&limiter, &policy("log"), &Key::global()).await.degraded(), "others are counted");
    let _: String = server.command(&["ACL", "SETUSER", "someone", "+zadd"]);
    watch.recovers(&limiter).await;
    assert_eq!(watch.used(&limiter, &small, &Key::global()).await, 0, "no half-written state");
}

/// Checks limits of every form. The server rejects the writes of all of them.
async fn refused(watch: &Watch, server: &RedisServer, limiter: &RateGuard, reason: StoreErrorKind) {
    let before = server.keys().len();
    let forms = one_of_each_form(5, MINUTE);
    for (n, quota) in forms.into_iter().enumerate() {
        let policy = Policy::try_new(format!("form{n}"), quota).unwrap();
        let decision = watch.check(limiter, &policy, &Key::user("refused")).await;
        assert_eq!(decision.degraded_reason(), Some(reason), "{quota:?}");
    }
    let [one, two] = [policy("one"), policy("two")];
    let key = Key::user("group");
    let decisions = limiter.check_all(&[Check::new(&one, &key), Check::new(&two, &key)]).await;
    assert!(decisions.iter().all(|decision| decision.degraded() && decision.allowed()));
    assert_eq!(server.keys().len(), before, "no half-written state");
}

pub(crate) async fn out_of_memory(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = connected(server.url()).await;
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    refused(watch, &server, &limiter, StoreErrorKind::OutOfMemory).await;
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    watch.recovers(&limiter).await;
}

pub(crate) async fn misconf(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = connected(server.url()).await;
    let (_, directory): (String, String) = server.command(&["CONFIG", "GET", "dir"]);
    let _: String = server.command(&["CONFIG", "SET", "save", "3600 1"]);
    std::fs::remove_dir_all(directory).unwrap();
    let _: String = server.command(&["BGSAVE"]);
    watch.until_reason(&limiter, StoreErrorKind::WritesDisabled).await;
    refused(watch, &server, &limiter, StoreErrorKind::WritesDisabled).await;
    let _: String = server.command(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    watch.recovers(&limiter).await;
}

pub(crate) async fn no_replicas(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = connected(server.url()).await;
    let _: String = server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    if !ServerProgram::tested().is_at_least(7) {
        assert!(!watch.check(&limiter, &policy("p"), &Key::global()).await.degraded());
        watch.note("before Redis 7 a script writes all the same");
        return;
    }
    refused(watch, &server, &limiter, StoreErrorKind::WritesDisabled).await;
    // A limiter that starts now finds out before its first check.
    let late = limiter_of(&server);
    watch.until_reason(&late, StoreErrorKind::WritesDisabled).await;
    let _: String = server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    watch.recovers(&limiter).await;
    watch.recovers(&late).await;
}

fn limiter_of(server: &RedisServer) -> RateGuard {
    limiter(server.url())
}

pub(crate) async fn busy(watch: &'static Watch) {
    let server = RedisServer::start_with(&["--lua-time-limit", "100"]);
    let limiter = connected(server.url()).await;
    let mut connection = server.connection();
    let endless = std::thread::spawn(move || {
        let _ = redis::cmd("EVAL").arg("while true do end").arg(0).query::<()>(&mut connection);
    });
    watch.until_reason(&limiter, StoreErrorKind::Busy).await;
    for _ in 0..20 {
        assert!(watch.check(&limiter, &policy("p"), &Key::global()).await.degraded());
    }
    let _: String = server.command(&["SCRIPT", "KILL"]);
    watch.recovers(&limiter).await;
    endless.join().unwrap();
}

pub(crate) async fn loading(watch: &'static Watch) {
    // Before Redis 7 the command needed no leave.
    let leave: &[&str] = if ServerProgram::tested().is_at_least(7) { &["--enable-debug-command", "yes"] } else { &[] };
    let server = RedisServer::start_with(&[leave, &["--key-load-delay", "1000"]].concat());
    let limiter = connected(server.url()).await;
    let _: () = redis::cmd("DEBUG").arg("POPULATE").arg(2000).query(&mut server.connection()).unwrap();
    let mut connection = server.connection();
    let reload = std::thread::spawn(move || {
        // Two seconds and more, during which the server answers that it is loading, if at all.
        let _ = redis::cmd("DEBUG").arg("RELOAD").query::<()>(&mut connection);
    });
    let reason = watch.until_degraded(&limiter).await;
    watch.note(format!("first seen as {}", reason.as_str()));
    while !reload.is_finished() {
        let _ = watch.check(&limiter, &policy("p"), &Key::global()).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watch.recovers(&limiter).await;
    reload.join().unwrap();
}

pub(crate) async fn read_only(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = connected(server.url()).await;
    // The connection stays as it is, and the server rejects every write on it.
    let _: String = server.command(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    watch.until_reason(&limiter, StoreErrorKind::ReadOnly).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _: String = server.command(&["REPLICAOF", "NO", "ONE"]);
    watch.recovers(&limiter).await;
}
