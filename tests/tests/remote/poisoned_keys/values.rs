//! Values that others have written.

use super::*;

/// Every algorithm, and every form of a log.
fn quotas() -> [(&'static str, Quota); 6] {
    [
        ("small", Quota::sliding_window(5, MINUTE)),
        ("middle", Quota::sliding_window(200, MINUTE)),
        ("large", Quota::sliding_window(2000, MINUTE)),
        ("counter", Quota::sliding_counter(5, MINUTE)),
        ("window", Quota::fixed_window(5, MINUTE)),
        ("bucket", Quota::token_bucket(5, MINUTE)),
    ]
}

/// Commands that write what should not be there; the key comes second.
fn poisons(now: u64) -> Vec<Words> {
    let words = |command: &str, rest: &[&[u8]]| -> Words {
        [command.as_bytes()].into_iter().chain(rest.iter().copied()).map(<[u8]>::to_vec).collect()
    };
    let mut poisons = Vec::new();
    // Numbers in a counter, also such that no double and no integer holds.
    let numbers = [
        "0",
        "-1",
        "1e400",
        "-1e400",
        "1e308",
        "inf",
        "-inf",
        "nan",
        "-nan",
        "0x10",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999999999",
    ];
    for odd in numbers {
        for text in [
            odd.to_owned(),
            format!("{odd} {odd}"),
            format!("{odd} {odd} {odd}"),
            format!("{now} {odd}"),
            format!("{now} {odd} 1"),
            format!("{now} 1 {odd}"),
        ] {
            poisons.push(words("SET", &[text.as_bytes()]));
        }
        let (stamped, many) = (format!("{now}*{odd}"), format!("{odd}*5"));
        for list in [
            vec![odd],
            vec!["0", odd],
            vec![odd, &now.to_string()],
            vec!["0", &stamped],
            vec!["0", &many],
            vec!["0", &now.to_string(), odd],
            vec![odd, odd, odd],
        ] {
            let list: Vec<&[u8]> = list.into_iter().map(str::as_bytes).collect();
            poisons.push(words("RPUSH", &list));
        }
        // Redis accepts infinite scores, but nothing else that is not a number.
        if odd.parse::<f64>().is_ok_and(|score| !score.is_nan()) && !odd.contains("400") {
            poisons.push(words("ZADD", &[odd.as_bytes(), odd.as_bytes()]));
            poisons.push(words("ZADD", &[odd.as_bytes(), format!("{now}100").as_bytes()]));
        }
        poisons.push(words("ZADD", &[now.to_string().as_bytes(), odd.as_bytes()]));
    }
    // Texts, bytes, and logs that look packed.
    let huge = b"9".repeat(100_000);
    let packed = |bytes: &[u8]| [b"rg1:", bytes].concat();
    for text in [
        &b""[..],
        b" ",
        b"\n\r\n",
        b"\0\xff\xfe",
        b"%s%d%n",
        &huge,
        &packed(b""),
        &packed(b"1234567"),
        &packed(&[0; 8]),
        &packed(&[0xff; 8]),
        &packed(&[0x7f; 800]),
        &packed(&vec![0xff; 80_000]),
        &packed(&[now.to_be_bytes(), [0; 8]].concat()),
    ] {
        poisons.push(words("SET", &[text]));
        poisons.push(words("RPUSH", &[b"0", text]));
        poisons.push(words("RPUSH", &[text]));
        poisons.push(words("ZADD", &[now.to_string().as_bytes(), text]));
    }
    // Other types.
    poisons.push(words("HSET", &[b"field", b"value"]));
    poisons.push(words("SADD", &[b"member"]));
    poisons.push(words("XADD", &[b"*", b"field", b"value"]));
    poisons.push(words("PFADD", &[b"element"]));
    poisons.push(words("GEOADD", &[b"13.3", b"38.1", b"place"]));
    poisons.push(words("SETBIT", &[b"100000", b"1"]));
    poisons
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_under_a_clients_key_fails_no_other_clients_check_and_drops_no_connection() {
    let server = RedisServer::start();
    let line = DelayLine::start(server.port(), Duration::ZERO);
    let builder = RateGuard::builder().redis(line.url()).deadline(Duration::from_secs(10));
    let limiter = builder.deny_cache(Duration::ZERO).build().unwrap();
    limiter.ready().await.unwrap();
    let mut planted = server.connection();
    let (seconds, _): (u64, u64) = server.command(&["TIME"]);
    let mut failures = Vec::new();
    let mut tried = 0;
    for (name, quota) in quotas() {
        let policy = Policy::new(name, quota);
        let odd = Key::user("odd");
        // Whatever a key of this form is named.
        while limiter.check(&policy, &odd).await.degraded() {}
        let key =
            server.keys().into_iter().find(|key| key.contains("odd") && key.contains(&format!(":{name}:"))).unwrap();
        for (n, poison) in poisons(seconds * 1_000_000).into_iter().enumerate() {
            let shown = format!("{name} ({key}): {}", shown(&poison));
            let plant = |connection: &mut redis::Connection| {
                let _: () = redis::cmd("DEL").arg(&key).query(connection).unwrap();
                let mut command = redis::cmd(std::str::from_utf8(&poison[0]).unwrap());
                command.arg(&key);
                poison[1..].iter().for_each(|word| {
                    command.arg(word);
                });
                command.query::<redis::Value>(connection).map(|_| ())
            };
            if let Err(error) = plant(&mut planted) {
                failures.push(format!("{shown} cannot be planted: {error}"));
                continue;
            }
            tried += 1;
            let before = line.connects();
            // In one call with others: the simple script, then the whole one.
            for cost in [1, 2] {
                let neighbours: Vec<Key> = (0..6).map(|m| Key::user(format!("{n}-{m}"))).collect();
                let all = neighbours[..3].iter().chain([&odd]).chain(&neighbours[3..]);
                let checks = all.map(|key| {
                    let (limiter, policy) = (&limiter, &policy);
                    async move { (key == &Key::user("odd"), limiter.check_cost(policy, key, cost).await) }
                });
                for (is_odd, decision) in join_all(checks).await {
                    if !is_odd && (decision.degraded() || !decision.allowed()) {
                        failures
                            .push(format!("{shown}: a neighbour's check of {cost}: {:?}", decision.degraded_reason()));
                    }
                    if let Some(wait) = decision.retry_after() {
                        // What is left of the last window weighs on in a sliding counter.
                        if wait > 2 * MINUTE {
                            failures.push(format!("{shown}: retry after {wait:?}"));
                        }
                    }
                }
                // The others may have mended it.
                let _ = plant(&mut planted);
            }
            let (peek, refund) = (limiter.peek(&policy, &odd), limiter.refund(&policy, &odd, 1));
            let neighbour = Key::user(format!("{n}-0"));
            let (peeked, _, other) = tokio::join!(peek, refund, limiter.peek(&policy, &neighbour));
            let _ = peeked;
            if let Err(error) = other {
                failures.push(format!("{shown}: a neighbour's peek: {error}"));
            }
            if let Err(error) = limiter.reset(&policy, &odd).await {
                failures.push(format!("{shown}: cannot be reset: {error}"));
            }
            // Waits for the next connection, so that the next value is not blamed for the lost one.
            let patience = Instant::now() + Duration::from_secs(20);
            while let Err(error) = limiter.ready().await {
                assert!(Instant::now() < patience, "{error}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if line.connects() != before {
                failures.push(format!("{shown}: the connection was dropped"));
            }
        }
    }
    failures.dedup();
    assert!(tried > 600, "{tried}");
    assert!(failures.is_empty(), "{} of {tried}:\n{}", failures.len(), failures.join("\n"));
}

/// Others' values that look like ours, but are far longer.
#[test]
fn a_planted_value_is_not_read_to_its_end() {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limiter = RateGuard::builder().deadline(Duration::from_secs(60)).deny_cache(Duration::ZERO);
    let limiter = runtime.block_on(rateguard_tests::connected(limiter, &server));
    let (seconds, _): (u64, u64) = server.command(&["TIME"]);
    let stamp = &(seconds * 1_000_000).to_be_bytes()[1..];
    // The word; a horizon of two minutes, which nothing follows; no units before; and many.
    let head = |word: &[u8]| [word, &120_000_000_u64.to_be_bytes()[2..], &[0; 19]].concat();
    let exact = [head(b"rg2e"), stamp.repeat(300_000)].concat();
    let merged = [head(b"rg2m"), [stamp, &[0; 10], &[1]].concat().repeat(300_000)].concat();
    let numbers = |letter: &str| format!("{letter}1{}", " 1".repeat(3 * 400_000 - 1)).into_bytes();
    let bucket = format!("b1{}", " 1".repeat(6 * 200_000)).into_bytes();
    let planted: [(&str, &[&[u8]]); 6] = [
        ("small", &[&exact]),
        ("middle", &[&exact, &merged]),
        ("large", &[&exact, &merged]),
        ("counter", &[&numbers("c")]),
        ("window", &[&numbers("f")]),
        ("bucket", &[&bucket]),
    ];
    let mut connection = server.connection();
    for ((name, quota), (_, values)) in quotas().into_iter().zip(planted) {
        let (policy, key) = (Policy::new(name, quota), Key::user("odd"));
        let _ = runtime.block_on(limiter.check(&policy, &key));
        let stored = server.keys().into_iter().find(|stored| stored.contains(&format!(":{name}:"))).unwrap();
        for value in values {
            let _: () = redis::cmd("SET").arg(&stored).arg(*value).query(&mut connection).unwrap();
            let spent = |work: &mut dyn FnMut()| -> u64 {
                let _: String = server.command(&["CONFIG", "RESETSTAT"]);
                work();
                let stats: String = server.command(&["INFO", "commandstats"]);
                let micros = |line: &str| line.split_once("usec=")?.1.split(',').next()?.parse::<u64>().ok();
                stats.lines().filter(|line| line.starts_with("cmdstat_eval")).filter_map(micros).sum()
            };
            let looked_at = spent(&mut || {
                let script = "return #redis.call('GET', KEYS[1])";
                let _: usize = redis::cmd("EVAL").arg(script).arg(1).arg(&stored).query(&mut connection).unwrap();
            });
            let decided = spent(&mut || {
                let _ = runtime.block_on(limiter.check(&policy, &key));
                let _ = runtime.block_on(limiter.refund(&policy, &key, 1));
            });
            // A check that is handed over and a refund get it a few times. To read each number takes hundreds of times as long.
            assert!(
                decided < 40 * looked_at.max(1_000),
                "{name}: {decided} microseconds, {looked_at} to get the value"
            );
        }
    }
}
