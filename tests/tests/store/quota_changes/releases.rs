//! Two releases side by side.

use super::*;

/// One call of a script of the release before logs, for one unit of one limit. What it says first: whether it is allowed,
/// or an error.
fn before(connection: &mut redis::Connection, tag: &str, kind: &str, limit: u32) -> redis::RedisResult<i64> {
    let [check, whole] = [
        include_str!("../../../fixtures/before_logs/check.lua"),
        include_str!("../../../fixtures/before_logs/whole.lua"),
    ];
    let key = format!("ratelimit:{{user:u}}:side:{tag}");
    let call = |script: &str, plan: &str| {
        let mut eval = redis::cmd("EVAL");
        eval.arg(script).arg(1).arg(&key).arg(plan);
        eval
    };
    let mut quota = vec![kind.to_owned(), limit.to_string(), "60000000".to_owned()];
    if kind == "b" {
        quota.extend([(60_000_000 / limit).to_string(), "0".to_owned(), "60000000".to_owned(), "0".to_owned()]);
    }
    let answer: Vec<redis::Value> = call(check, "0").arg(&quota).query(connection)?;
    if let Some(redis::Value::Int(-1)) = answer.get(1) {
        let mut eval = call(whole, "1");
        eval.arg(&quota).arg("check").arg(1).arg(1).arg(1);
        if kind == "b" {
            eval.arg(60_000_000 / limit).arg(0);
        }
        let answer: Vec<redis::Value> = eval.query(connection)?;
        return redis::from_redis_value(answer.get(1).cloned().unwrap()).map_err(Into::into);
    }
    redis::from_redis_value(answer.get(1).cloned().unwrap()).map_err(Into::into)
}

#[tokio::test]
async fn the_release_before_and_this_one_count_side_by_side_and_neither_fails_nor_opens() {
    let server = RedisServer::start();
    let limiter = connected(RateGuard::builder().deny_cache(Duration::ZERO), &server).await;
    let mut connection = server.connection();
    let make: [(&str, &str, Make, &[u32]); 4] = [
        ("sw", "zpl", Quota::sliding_window, &[20, 300, 700]),
        ("sc", "ccc", Quota::sliding_counter, &[20]),
        ("fw", "fff", Quota::fixed_window, &[20]),
        ("tb", "bbb", Quota::token_bucket, &[20]),
    ];
    for (tag, kinds, make, limits) in make {
        for (kind, &limit) in kinds.chars().zip(limits) {
            let policy = Policy::new("side", make(limit, MINUTE));
            let (mut old, mut new) = (0, 0);
            for _ in 0..limit + 10 {
                old += before(&mut connection, tag, &kind.to_string(), limit).unwrap();
                let decision = limiter.check(&policy, &Key::user("u")).await;
                assert!(!decision.degraded(), "{tag}: {:?}", decision.degraded_reason());
                new += u32::from(decision.allowed());
            }
            // A bucket gets a token back now and then.
            let most = limit + u32::from(tag == "tb") * 3;
            assert!(
                u32::try_from(old).unwrap() >= limit && u32::try_from(old).unwrap() <= most,
                "{tag} {limit}: {old}"
            );
            assert!((limit..=most).contains(&new), "{tag} {limit}: {new}");
            for key in server.keys() {
                let _: i64 = server.command(&["DEL", &key]);
            }
        }
    }
}
