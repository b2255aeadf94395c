//! What identifies a client and must not be read by others is found nowhere: not in anything that Redis ever saw, and
//! not in anything that was logged.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rateguard::{Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, UserId, rate_limit};
use rateguard_tests::{Log, RedisServer, serve};
use tracing::Level;

const MINUTE: Duration = Duration::from_secs(60);
const PLANTED: &str = "hunter2-planted-secret";

#[rate_limit(limit = 3, window = 60, key = ("header:x-api-key", "cookie:session"))]
async fn handler() {}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_secret_is_found_nowhere() {
    let log = Log::capture_all(Level::TRACE);

    let mut server = RedisServer::start_with(&["--requirepass", PLANTED]);
    let url = format!("redis://:{PLANTED}@127.0.0.1:{}", server.port());
    let mut monitor = Command::new("redis-cli")
        .args(["-p", &server.port().to_string(), "-a", PLANTED, "--no-auth-warning", "MONITOR"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut monitored = BufReader::new(monitor.stdout.take().unwrap());
    let mut seen = String::new();
    monitored.read_line(&mut seen).unwrap();
    assert_eq!(seen.trim(), "OK", "from now on it sees everything");
    let limiter = RateGuard::builder().redis(&url).deadline(Duration::from_secs(10)).build().unwrap();
    limiter.ready().await.unwrap();
    let app = Router::new().route("/", get(handler)).layer(
        RateLimitLayer::new(limiter.clone())
            .limit("by-header", Quota::sliding_window(100, MINUTE), KeyBy::header("authorization"))
            .limit("by-user", Quota::token_bucket(100, MINUTE), KeyBy::User),
    );
    let address = serve(app).await;
    let client = reqwest::Client::new();
    let ask = || {
        let request = client.get(format!("http://{address}/"));
        request
            .header("x-api-key", PLANTED)
            .header("authorization", format!("Bearer {PLANTED}"))
            .header("cookie", format!("a=b; session={PLANTED}"))
            .send()
    };
    for status in [200, 200, 200, 429] {
        let response = ask().await.unwrap();
        assert_eq!(response.status(), status);
        assert!(!format!("{:?}", response.headers()).contains(PLANTED));
        assert!(!response.text().await.unwrap().contains(PLANTED));
    }
    let policy = Policy::new("direct", Quota::sliding_window(1, MINUTE));
    let _ = limiter.check(&policy, &Key::secret("token", PLANTED)).await;
    let _ = limiter.check(&policy, &Key::user(format!("{PLANTED}\r\nX-Injected: {{1}}"))).await;
    assert!(!format!("{limiter:?} {:?} {:?}", Key::secret("token", PLANTED), UserId::new(PLANTED)).contains(PLANTED));

    server.kill();
    let patience = Instant::now() + Duration::from_secs(20);
    while limiter.ready().await.is_ok() {
        assert!(Instant::now() < patience);
    }
    let _ = ask().await.unwrap();
    let error = RateGuard::redis(format!("redis://:{PLANTED}@host:port")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(PLANTED));

    // It ends with the server.
    monitored.read_to_string(&mut seen).unwrap();
    monitor.wait().unwrap();
    assert!(seen.contains("by-header") && seen.contains("header.x-api-key:~"), "the monitor saw the checks:\n{seen}");
    assert!(!seen.contains(PLANTED), "Redis saw it:\n{seen}");
    assert!(!seen.contains("X-Injected"));
    let logged = log.text();
    assert!(logged.contains("the store does not answer"), "the outage was logged:\n{logged}");
    let about_limits = logged.lines().filter(|line| line.contains("rateguard")).collect::<Vec<_>>().join("\n");
    assert!(!about_limits.contains(PLANTED), "it was logged:\n{about_limits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_with_one_secret_count_together_and_with_another_apart() {
    let server = RedisServer::start();
    let limiter = |secret: Option<&str>| {
        let builder = RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10));
        match secret {
            Some(secret) => builder.secret(secret).build().unwrap(),
            None => builder.build().unwrap(),
        }
    };
    let policy = Policy::new("p", Quota::sliding_window(1, MINUTE));
    let key = Key::secret("token", "value");
    assert!(limiter(None).check(&policy, &key).await.allowed());
    assert!(!limiter(None).check(&policy, &key).await.allowed());
    assert!(limiter(Some("pepper")).check(&policy, &key).await.allowed());
    assert!(!limiter(Some("pepper")).check(&policy, &key).await.allowed());
}
