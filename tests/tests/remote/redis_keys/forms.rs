//! The forms that a log is kept in, and values that are none.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_only_looks_like_our_log_fails_its_own_check_and_delays_no_other() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    let (seconds, _): (u64, u64) = server.command(&["TIME"]);
    let (now, later) = (format!("{seconds}000000"), format!("{}000000", seconds + 60));
    let sound = format!("{now}100");
    let head = "rg2m\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let half = format!("{head}\0\0\0");
    for (name, limit, plant) in [
        // Members that are no times, or times that their scores are not.
        ("z", 5, vec!["ZADD", &later, "%%%%%%%%%%%%%%%%%%%"]),
        ("z", 5, vec!["ZADD", &later, "1000000000000000zzz"]),
        ("z", 5, vec!["ZADD", &now, "x", &later, &sound]),
        ("z", 1, vec!["ZADD", &now, "1%%%%%%%%%%%%%%%100", &later, &sound]),
        ("z", 5, vec!["ZADD", &now, &sound, "inf", "a window"]),
        // A head and no entries, half an entry, and entries of no order.
        ("l", 2000, vec!["SET", head]),
        ("l", 2000, vec!["SET", &half]),
    ] {
        let some = policy(name, limit);
        let key = format!("ratelimit:{{user:odd}}:{name}:sw2");
        let _: i64 = server.command(&["DEL", &key]);
        let plant: Vec<&str> = [plant[0], &key].into_iter().chain(plant[1..].iter().copied()).collect();
        let _: redis::Value = server.command(&plant);
        let asked = (0..20).map(|n| {
            let key = if n % 2 == 0 { Key::user("odd") } else { Key::user(format!("{plant:?}-{n}")) };
            let (limiter, some) = (&limiter, &some);
            async move { limiter.check(some, &key).await }
        });
        for (n, decision) in join_all(asked).await.into_iter().enumerate() {
            assert_eq!(decision.degraded(), n % 2 == 0, "{plant:?}, {n}: {:?}", decision.degraded_reason());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_value_under_our_key_is_left_alone_and_fails_only_its_own_check() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    for (name, limit) in [("z", 5), ("p", 200), ("l", 2000)] {
        let some = policy(name, limit);
        let key = format!("ratelimit:{{user:odd}}:{name}:sw2");
        let mut odd_ones = 0;
        for (plant, kind) in [
            (vec!["SET", key.as_str(), "somebody else's"], "string"),
            (vec!["HSET", &key, "field", "value"], "hash"),
            (vec!["RPUSH", &key, "somebody", "else"], "list"),
        ] {
            let _: i64 = server.command(&["DEL", &key]);
            let _: redis::Value = server.command(&plant);
            let dump: Vec<u8> = server.command(&["DUMP", &key]);
            // Many at once, so that they share a call with neighbours of sound keys.
            let mut tasks = JoinSet::new();
            for n in 0..20 {
                let (limiter, some) = (limiter.clone(), some.clone());
                let key = if n % 2 == 0 { Key::user("odd") } else { Key::user(format!("{kind}-{n}")) };
                tasks.spawn(async move { (n, limiter.check(&some, &key).await) });
            }
            for (n, decision) in tasks.join_all().await {
                let reason = (n % 2 == 0).then_some(StoreErrorKind::WrongType);
                assert_eq!(decision.degraded_reason(), reason, "{name} {kind} {n}");
                // The odd one is counted here: ten checks of each kind.
                odd_ones += u32::from(n % 2 == 0 && decision.allowed());
                assert!(decision.allowed() || n % 2 == 0, "{name} {kind} {n}");
            }
            assert_eq!(server.command::<Vec<u8>>(&["DUMP", &key]), dump);
        }
        assert_eq!(odd_ones, limit.min(30), "{name}: no client gains by it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_changed_across_forms_keeps_what_was_counted() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    let key = Key::user("redeploy");
    let mut used = 0;
    for (limit, form) in [
        (100, "zset"),
        (50, "zset"),
        (300, "string"),
        (2000, "string"),
        (50, "string"),
        (3000, "string"),
        (127, "string"),
    ] {
        let changed = policy("resized", limit);
        let decision = limiter.check_cost(&changed, &key, 3).await;
        assert!(!decision.degraded() && decision.allowed());
        used += 3;
        assert_eq!(decision.remaining(), limit - used, "{limit}");
        let found: String = server.command(&["TYPE", "ratelimit:{user:redeploy}:resized:sw2"]);
        assert_eq!(found, form);
        let ttl: i64 = server.command(&["PTTL", "ratelimit:{user:redeploy}:resized:sw2"]);
        assert!((60_000..=121_000).contains(&ttl));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sorted_set_stays_compact_and_becomes_a_log_where_its_numbers_run_out() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    let quick = Policy::new("quick", Quota::sliding_window(127, Duration::from_millis(5)));
    let mut allowed = 0;
    while allowed < 12_000 {
        let decision = limiter.check_cost(&quick, &Key::global(), 64).await;
        assert!(!decision.degraded());
        match decision.retry_after() {
            None => allowed += 64,
            Some(wait) => tokio::time::sleep(wait).await,
        }
        // And units that are taken one by one, some of them at once.
        let all = Key::global();
        for decision in join_all((0..allowed % 25).map(|_| limiter.check(&quick, &all))).await {
            assert!(!decision.degraded());
            allowed += u32::from(decision.allowed());
        }
        let key = "ratelimit:{global}:quick:sw2";
        let encoding: Option<String> = server.command(&["OBJECT", "ENCODING", key]);
        assert!(
            encoding.as_deref().is_none_or(|encoding| ["listpack", "ziplist", "raw", "embstr"].contains(&encoding)),
            "{encoding:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_from_the_future_count_from_now_on() {
    let server = RedisServer::start();
    let limiter = limiter(&server).await;
    for (name, limit) in [("z", 4), ("p", 200), ("l", 2000)] {
        let stepped = policy(name, limit);
        let key = format!("ratelimit:{{global}}:{name}:sw2");
        let _ = limiter.check_cost(&stepped, &Key::global(), limit).await;
        // As if the clock had stepped back an hour: what was counted now lies an hour ahead.
        let (seconds, _): (u64, u64) = server.command(&["TIME"]);
        let ahead = (seconds + 3600) * 1_000_000;
        if name == "z" {
            let _: i64 = server.command(&["DEL", &key]);
            let _: i64 = server.command(&["ZADD", &key, "inf", "60000000"]);
            for number in 100..104 {
                let member = format!("{ahead}{number}");
                let _: i64 = server.command(&["ZADD", &key, &ahead.to_string(), &member]);
            }
        } else {
            // The log's own first entry, at a later time: its place is after the head.
            let mut connection = server.connection();
            let mut log: Vec<u8> = redis::cmd("GET").arg(&key).query(&mut connection).unwrap();
            let size = if log.starts_with(b"rg2e") { 7 } else { 18 };
            for entry in log[29..].chunks_exact_mut(size) {
                entry[..7].copy_from_slice(&u64::to_be_bytes(ahead)[1..]);
            }
            let _: () = redis::cmd("SET").arg(&key).arg(log).query(&mut connection).unwrap();
        }
        let decision = limiter.check(&stepped, &Key::global()).await;
        assert!(!decision.degraded(), "{name}");
        assert!(!decision.allowed(), "{name}: nobody gets a fresh quota");
        assert!(decision.retry_after().unwrap() <= MINUTE, "{name}: and nobody waits longer than a window");
    }
}
