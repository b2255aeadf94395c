//! Messages and errors that a server makes up.

use std::process::Command;

use super::*;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() * 1024
}

/// In a process of its own, since it measures the memory of its process.
#[test]
fn a_flood_of_messages_that_nobody_asked_for_takes_no_memory() {
    let program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "poisoned_keys::answers::flooded", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&program.stdout);
    assert!(
        program.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&program.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a program that the test above starts"]
async fn flooded() {
    const MESSAGES: usize = 400_000;
    let server = RedisServer::start();
    let line = DelayLine::start(server.port(), Duration::ZERO);
    let limiter = RateGuard::builder().redis(line.url()).deadline(Duration::from_secs(60)).build().unwrap();
    limiter.ready().await.unwrap();
    let policy = Policy::new("flooded", Quota::sliding_window(5, MINUTE));
    // While a call is in flight, nothing reads the push messages.
    let _: String = server.command(&["CLIENT", "PAUSE", "2000", "ALL"]);
    let check = tokio::spawn({
        let (limiter, policy) = (limiter.clone(), policy.clone());
        async move { limiter.check(&policy, &Key::global()).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let some = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n".repeat(MESSAGES / 100);
    for _ in 0..100 {
        line.inject(&some);
    }
    // What waits in the proxy is part of it.
    let before = resident();
    let mut most = before;
    // The answer comes after the flood.
    while !check.is_finished() {
        most = most.max(resident());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let decision = check.await.unwrap();
    assert!(decision.allowed() && !decision.degraded(), "{:?}", decision.degraded_reason());
    let grown = (most - before) >> 20;
    assert!(grown < 30, "{grown} MiB for {MESSAGES} messages");
    assert_eq!(line.connects(), 1);
}

/// A server that answers everything with an error of two lines, the second of which looks like one of ours.
fn forger() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                // One for each command, which begins with how many words it has.
                let commands =
                    buffer[..length].windows(2).filter(|two| two[0] == b'*' && two[1].is_ascii_digit()).count();
                let text = "ERR no\nFORGED rateguard: all is well\r\x1b[31m";
                let answer = format!("!{}\r\n{text}\r\n", text.len());
                if stream.write_all(answer.repeat(commands).as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[tokio::test]
async fn what_a_server_says_is_one_line_of_the_log() {
    let (log, _guard) = Log::capture(Level::DEBUG);
    let limiter = RateGuard::redis(format!("redis://127.0.0.1:{}", forger())).unwrap();
    let policy = Policy::new("forged", Quota::sliding_window(5, MINUTE));
    for _ in 0..20 {
        let _ = limiter.check(&policy, &Key::global()).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lines = log.lines_with("FORGED");
    assert!(!lines.is_empty(), "what the server said is told: {}", log.text());
    assert!(lines.iter().all(|line| !line.starts_with("FORGED")), "{lines:?}");
    assert!(!log.text().contains('\r') && !log.text().contains('\x1b'), "{:?}", log.text());
}
