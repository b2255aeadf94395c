//! Quotas that are changed without a new program: while it runs, and when it starts.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use rateguard::{
    Algorithm, Check, Decision, Headers, HttpLimit, Key, KeyBy, ManualClock, OnError, Policy, Quota, RateGuard,
    RateGuardBuilder, RateLimitLayer, rate_limit,
};
use rateguard_tests::{App, Log, RedisServer, connected};
use tracing::Level;

const MINUTE: Duration = Duration::from_secs(60);
const SEARCH: Policy = Policy::new("search", Quota::sliding_window(3, MINUTE));

#[rate_limit(limit = 3, window = 60, name = "search")]
async fn search() {}

#[rate_limit(limit = 3, window = 60, name = "deferred", key = uri.path())]
async fn deferred(uri: Uri) {
    let _ = uri;
}

#[rate_limit(limit = 3, window = 60, name = "mild", refund_if = |res| res.status().is_success())]
async fn mild() -> StatusCode {
    StatusCode::OK
}

fn routes() -> Router {
    Router::new().route("/search", get(search)).route("/deferred", get(deferred)).route("/mild", get(mild))
}

fn quota(text: &str) -> Quota {
    text.parse().unwrap()
}

/// What holds in each store.
async fn everywhere(check: impl AsyncFn(RateGuard)) {
    check(RateGuard::memory()).await;
    let server = RedisServer::start();
    check(connected(RateGuard::builder(), &server).await).await;
}

fn client() -> Key {
    Key::ip([192, 0, 2, 1])
}

#[tokio::test]
async fn a_quota_that_is_set_applies_at_once_to_attributes_and_layers_and_what_was_counted_stays_counted() {
    everywhere(async |limiter| {
        let layer = RateLimitLayer::new(limiter.clone()).limit("wide", quota("100/1m"), KeyBy::Global);
        let app = App::new(Router::new()).map(|_| routes().layer(layer.headers(Headers::X_RATE_LIMIT | Headers::IETF)));
        for path in ["/search", "/deferred"] {
            let first = app.get(path).await;
            assert_eq!((first.number("x-ratelimit-limit"), first.number("x-ratelimit-remaining")), (Some(3), Some(2)));
        }
        for name in ["search", "deferred"] {
            assert!(limiter.set_quota(name, quota("5/1m")), "{name} is known");
        }
        for path in ["/search", "/deferred"] {
            let raised = app.get(path).await;
            assert_eq!(
                (raised.number("x-ratelimit-limit"), raised.number("x-ratelimit-remaining")),
                (Some(5), Some(3))
            );
            assert!(raised.headers["ratelimit-policy"].to_str().unwrap().ends_with(";q=5;w=60"));
        }
        for name in ["search", "deferred"] {
            limiter.set_quota(name, quota("1/1m"));
        }
        for path in ["/search", "/deferred"] {
            let lowered = app.get(path).await;
            assert_eq!((lowered.status, lowered.number("x-ratelimit-limit")), (429, Some(1)));
            assert!(lowered.body.contains("No more than 1 request in 1 minute"), "{}", lowered.body);
        }
        limiter.set_quota("wide", quota("1/1m"));
        assert_eq!(app.get("/mild").await.status, 429, "the layer's own");
        assert!(limiter.unset_quota("wide") && limiter.unset_quota("search"));
        assert!(!limiter.unset_quota("search"), "there is none any more");
        let written = app.get("/search").await;
        assert_eq!((written.status, written.number("x-ratelimit-remaining")), (200, Some(0)));
    })
    .await;
}

#[tokio::test]
async fn without_http_it_applies_to_every_way_to_ask() {
    everywhere(async |limiter| {
        assert!(!limiter.set_quota("search", quota("2/1m")), "no policy of this name is known");
        let first = limiter.check(&SEARCH, &client()).await;
        assert_eq!((first.limit(), first.remaining(), first.quota()), (2, 1, quota("2/1m")));
        let all = limiter.check_all(&[rateguard::Check::new(&SEARCH, &client())]).await;
        assert_eq!((all[0].limit(), all[0].remaining()), (2, 0));
        let peeked = limiter.peek(&SEARCH, &client()).await.unwrap();
        assert_eq!((peeked.limit(), peeked.allowed()), (2, false));
        limiter.refund(&SEARCH, &client(), 1).await.unwrap();
        assert_eq!(limiter.peek(&SEARCH, &client()).await.unwrap().remaining(), 1);
        // Another algorithm has a count of its own, under another key.
        limiter.set_quota("search", quota("token_bucket:2/1m:burst=9"));
        let bucket = limiter.check(&SEARCH, &client()).await;
        assert_eq!((bucket.quota().algorithm(), bucket.remaining()), (Algorithm::TokenBucket, 8));
        assert_eq!(limiter.peek(&SEARCH, &client()).await.unwrap().remaining(), 8);
        limiter.reset(&SEARCH, &client()).await.unwrap();
        assert_eq!(limiter.peek(&SEARCH, &client()).await.unwrap().remaining(), 9);
        limiter.set_quota("search", quota("2/1m"));
        assert_eq!(limiter.peek(&SEARCH, &client()).await.unwrap().remaining(), 1, "what was counted is still there");
    })
    .await;
}

#[tokio::test]
async fn a_charge_is_given_back_where_it_was_made() {
    everywhere(async |limiter| {
        let (begun, go_on) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let routes = {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            routes().layer(axum::middleware::from_fn(move |request, next: axum::middleware::Next| {
                let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
                async move {
                    begun.notify_one();
                    let response = next.run(request).await;
                    go_on.notified().await;
                    response
                }
            }))
        };
        let app = App::with(limiter.clone(), routes);
        let policy = Policy::new("mild", quota("3/1m"));
        limiter.set_quota("mild", quota("fixed_window:3/1m"));
        let request = tokio::spawn(async move { app.get("/mild").await.status });
        begun.notified().await;
        while limiter.peek(&policy, &client()).await.unwrap().remaining() != 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Meanwhile a client is counted by another algorithm, and gains nothing.
        limiter.unset_quota("mild");
        assert_eq!(limiter.check(&policy, &client()).await.remaining(), 2);
        go_on.notify_one();
        assert_eq!(request.await.unwrap(), 200);
        assert_eq!(limiter.peek(&policy, &client()).await.unwrap().remaining(), 2);
        limiter.set_quota("mild", quota("fixed_window:3/1m"));
        assert_eq!(limiter.peek(&policy, &client()).await.unwrap().remaining(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_window_that_is_made_longer_or_shorter_is_kept() {
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
    for _ in 0..3 {
        assert!(limiter.check(&SEARCH, &client()).await.allowed());
    }
    clock.advance(Duration::from_secs(30));
    limiter.set_quota("search", quota("3/20s"));
    assert!(limiter.check(&SEARCH, &client()).await.allowed(), "what is older than 20 seconds counts no more");
    limiter.set_quota("search", quota("3/1h"));
    // What was charged when the window was a minute is kept for a minute, and counts in the hour.
    let denied = limiter.check(&SEARCH, &client()).await;
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(3570)));
    clock.advance(Duration::from_secs(3570));
    assert_eq!(limiter.check(&SEARCH, &client()).await.remaining(), 1);
}

#[tokio::test]
async fn policies_are_known_when_their_layer_is_made_or_their_handler_is_asked() {
    let limiter = RateGuard::builder().quota("search", quota("9/1m")).quota("absent", quota("1/1m")).build().unwrap();
    assert!(limiter.policies().is_empty());
    let layer = RateLimitLayer::new(limiter.clone()).limit("global", quota("100/1m"), KeyBy::Global);
    let app = App::new(Router::new()).map(|_| routes().layer(layer));
    let known = || limiter.policies().iter().map(|policy| policy.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(known(), ["global"]);
    assert_eq!(limiter.unmatched_quotas(), ["absent", "search"]);
    for path in ["/search", "/deferred", "/search"] {
        app.get(path).await;
    }
    assert_eq!(known(), ["deferred", "global", "search"]);
    assert_eq!(limiter.unmatched_quotas(), ["absent"]);
    let policies = limiter.policies();
    assert_eq!((policies[1].quota(), policies[1].is_overridden()), (Some(quota("100/1m")), false));
    assert_eq!((policies[2].quota(), policies[2].is_overridden()), (Some(quota("9/1m")), true));
    assert_eq!(policies[2].default_quota(), Some(quota("3/1m")));
    // Names that were made at run time, and more than are remembered by their place.
    for number in 0..1000 {
        let policy = Policy::try_new(format!("made-{number}"), quota("1/1m")).unwrap();
        let _ = limiter.check(&policy, &client()).await;
        let _ = limiter.check(&policy, &client()).await;
    }
    assert_eq!(limiter.policies().len(), 1003);
}

#[tokio::test]
async fn names_without_end_do_not_fill_the_memory_and_are_limited_all_the_same() {
    let limiter = RateGuard::memory();
    for number in 0..10_050 {
        let policy = Policy::try_new(format!("made-{number}"), quota("1/1m")).unwrap();
        assert!(limiter.check(&policy, &client()).await.allowed());
        assert!(!limiter.check(&policy, &client()).await.allowed());
    }
    assert_eq!(limiter.policies().len(), 10_000);
}

#[tokio::test]
async fn a_name_that_no_policy_has_changes_no_limit_and_is_logged_once_with_the_known_names() {
    let (log, _guard) = Log::capture(Level::INFO);
    let warnings = || log.lines_with("WARN");
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().clock(clock.clone()).quota("serach", quota("1000/1m")).build().unwrap();
    let app = App::with(limiter.clone(), routes());
    assert_eq!(app.statuses(&["/search", "/search", "/search", "/search"]).await, [200, 200, 200, 429]);
    clock.advance(Duration::from_secs(59));
    app.get("/deferred").await;
    assert!(warnings().is_empty());
    clock.advance(Duration::from_secs(1));
    for _ in 0..5 {
        app.get("/deferred").await;
    }
    let told = warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("unknown=serach") && told[0].contains("known=deferred, search"), "{told:?}");
    assert!(!limiter.set_quota("gloabl", quota("1/1m")));
    clock.advance(MINUTE);
    app.get("/deferred").await;
    assert_eq!(warnings().len(), 2, "{:?}", warnings());
    assert!(warnings()[1].contains("unknown=gloabl, serach"));
}

async fn limit_of(builder: RateGuardBuilder, name: &str) -> u32 {
    let policy = Policy::try_new(name.to_owned(), quota("3/1m")).unwrap();
    builder.build().unwrap().check(&policy, &client()).await.limit()
}

#[tokio::test]
async fn quotas_come_from_the_builder_a_text_and_a_file_and_the_last_one_counts() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "# the file's\nsearch = 6/1m\nlogin = token_bucket:2/1m # as before\n").unwrap();
    let builder = || RateGuard::builder().quota("search", quota("4/1m"));
    assert_eq!(limit_of(builder(), "search").await, 4);
    assert_eq!(limit_of(builder().quotas("search=5/1m; a=1/1s"), "search").await, 5);
    assert_eq!(limit_of(builder().quotas_from_file(file.path()), "search").await, 6);
    assert_eq!(limit_of(builder().quotas_from_file(file.path()), "login").await, 2);
    assert_eq!(
        limit_of(RateGuard::builder().quotas_from_file(file.path()).quota("search", quota("7/1m")), "search").await,
        7
    );
    assert_eq!(limit_of(builder(), "other").await, 3);
}

#[test]
fn what_cannot_be_read_is_an_error_that_says_where_and_what_to_write() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "search = 6/1m\nlogin = 5 per minute\n").unwrap();
    let path = file.path().display().to_string();
    let error =
        |builder: RateGuardBuilder| builder.build().map_or_else(|error| error.to_string(), |_| panic!("it was taken"));
    for (builder, said) in [
        (
            RateGuard::builder().quota("a b", quota("1/1s")),
            "quota = \"a b\": the name of a policy has a space".to_owned(),
        ),
        (RateGuard::builder().quotas("x=1"), "quotas, line 1 = \"x=1\": there is no `/`".to_owned()),
        (
            RateGuard::builder().quotas_from_file(file.path()),
            format!("quotas_from_file, {path}, line 2 = \"login = 5 per minute\": there is no `/`"),
        ),
        (
            RateGuard::builder().quotas_from_file("/nowhere/quotas"),
            "quotas_from_file = \"/nowhere/quotas\": No such file".to_owned(),
        ),
        (RateGuard::builder().quotas("x=1").quotas("y=2/1s"), "x=1".to_owned()),
    ] {
        let error = error(builder);
        assert!(error.contains(&said), "{error}");
    }
}

/// Not a test: what the next one runs, each time under an environment of its own.
#[tokio::test]
#[ignore = "a program of the test below"]
async fn the_program_that_reads_the_environment() {
    match RateGuard::from_env() {
        Err(error) => println!("ERROR {error}"),
        Ok(limiter) => {
            for name in ["search", "login"] {
                let policy = Policy::new(name, quota("3/1m"));
                println!("{name} {}", limiter.check(&policy, &client()).await.quota());
            }
        }
    }
}

#[test]
fn the_environment_sets_quotas_and_a_mistake_in_it_keeps_the_program_from_starting() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "search = 6/1m\nlogin = 7/1m\n").unwrap();
    let path = file.path().to_str().unwrap();
    let run = |variables: &[(&str, &str)]| {
        let program = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "quotas::the_program_that_reads_the_environment", "--ignored", "--nocapture"])
            .env_remove("REDIS_URL")
            .env_remove("UPSTASH_REDIS_REST_URL")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let output = String::from_utf8(program.stdout).unwrap();
        let said = |line: &&str| ["ERROR", "search", "login"].iter().any(|word| line.starts_with(word));
        output.lines().filter(said).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(run(&[]), ["search 3/1m", "login 3/1m"]);
    assert_eq!(run(&[("RATEGUARD_QUOTAS", "search=5/60s")]), ["search 5/1m", "login 3/1m"]);
    assert_eq!(run(&[("RATEGUARD_QUOTAS", " ")]), ["search 3/1m", "login 3/1m"]);
    assert_eq!(run(&[("RATEGUARD_QUOTAS_FILE", path)]), ["search 6/1m", "login 7/1m"]);
    let both = [("RATEGUARD_QUOTAS_FILE", path), ("RATEGUARD_QUOTAS", "search=fixed_window:5/60s")];
    assert_eq!(run(&both), ["search fixed_window:5/1m", "login 7/1m"]);
    let wrong = run(&[("RATEGUARD_QUOTAS", "search=5/sixty")]);
    assert!(
        wrong[0].starts_with("ERROR rateguard: RATEGUARD_QUOTAS, line 1 = \"search=5/sixty\": the window `sixty`"),
        "{wrong:?}"
    );
    assert!(run(&[("RATEGUARD_QUOTAS_FILE", "/nowhere")])[0].contains("RATEGUARD_QUOTAS_FILE = \"/nowhere\""));
}

#[rate_limit(limit = 5, window = "1h", name = "twice")]
async fn strict() {}

#[rate_limit(limit = 1000, window = 1, name = "twice")]
async fn lax() {}

#[tokio::test]
async fn one_name_with_another_quota_in_another_place_is_said_once_with_both_places() {
    let (log, _guard) = Log::capture(Level::WARN);
    let routes = || Router::new().route("/strict", get(strict)).route("/lax", get(lax));
    let app = App::new(routes());
    for _ in 0..3 {
        app.statuses(&["/strict", "/lax"]).await;
    }
    let lines = log.lines_with("twice");
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains("ERROR") && line.contains("5/1h") && line.contains("1000/1s"), "{line}");
    assert_eq!(line.matches("quotas.rs:").count(), 2, "{line}");

    // A layer's, and a constant's.
    let layer = RateLimitLayer::new(RateGuard::memory()).limit("search", quota("7/1m"), KeyBy::Global);
    let limiter = RateGuard::memory();
    let _ = layer.clone().rule(HttpLimit::from_policy(Policy::new("other", quota("7/1m")), KeyBy::Ip));
    let _ = RateLimitLayer::new(limiter.clone()).limit("search", quota("7/1m"), KeyBy::Global);
    assert!(limiter.check(&SEARCH, &client()).await.allowed());
    let _ = limiter.check(&SEARCH, &client()).await;
    assert_eq!(log.lines_with("search").len(), 1, "{}", log.text());
}

#[tokio::test]
async fn quotas_of_one_name_that_differ_on_purpose_are_no_mistake() {
    let (log, _guard) = Log::capture(Level::WARN);
    let limiter = RateGuard::memory();
    let key = client();
    // Plans: made at run time, or in one place.
    for text in ["5/1h", "50/1h", "500/1h"] {
        let _ = limiter.check(&Policy::try_new("plan", quota(text)).unwrap(), &key).await;
        let _ = limiter.check(&Policy::new("other plan".split(' ').next().unwrap(), quota(text)), &key).await;
        // Layers that are built anew.
        let _ = RateLimitLayer::new(limiter.clone()).limit("wide", quota(text), KeyBy::Global);
    }
    // One quota in two places; one that is set; another algorithm, which counts elsewhere.
    let _ = limiter.check(&SEARCH, &key).await;
    let _ = limiter.check(&Policy::new("search", SEARCH.quota()), &key).await;
    limiter.set_quota("search", quota("1/1h"));
    let _ = limiter.check(&SEARCH, &key).await;
    let _ = limiter.check(&Policy::new("search", quota("token_bucket:10/1m")), &key).await;
    assert_eq!(log.text(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_of_one_bucket_in_one_request_must_all_hold() {
    everywhere(async |limiter| {
        let policy = |text: &str| Policy::try_new("bucket", quota(text)).unwrap();
        for (case, [one, other], fits) in [
            ("shadow", [policy("100/1m").shadow(true), policy("10/1m")], 5),
            ("tight shadow", [policy("1/1m").shadow(true), policy("10/1m")], 5),
            ("lax", [policy("1000/1s"), policy("10/1h")], 5),
            ("neither is the tighter", [policy("8/1s"), policy("10/1h")], 4),
            ("bucket", [policy("token_bucket:100/1s:burst=10"), policy("token_bucket:20/1h")], 5),
        ] {
            for (turn, policies) in [[&one, &other], [&other, &one]].into_iter().enumerate() {
                let key = Key::new("case", format!("{case} {turn}"));
                let checks = policies.map(|policy| Check::new(policy, &key));
                let mut allowed = 0;
                for _ in 0..20 {
                    let decisions = limiter.check_all(&checks).await;
                    for (decision, policy) in decisions.iter().zip(policies) {
                        assert_eq!(decision.quota(), policy.quota(), "each tells its own");
                        assert!(decision.allowed() || !policy.is_shadow());
                        assert!(decision.remaining() <= decision.limit());
                    }
                    allowed += u32::from(decisions.iter().all(Decision::allowed));
                }
                assert_eq!(allowed, fits, "{case}, {turn}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn of_checks_of_one_bucket_that_cannot_be_counted_the_closed_one_decides() {
    let limiter = RateGuard::redis(RedisServer::stopped().url()).unwrap();
    while limiter.ready().await.is_ok() {}
    let [open, closed] = [OnError::Open, OnError::Closed].map(|on_error| SEARCH.on_error(on_error));
    for policies in [[&open, &closed], [&closed, &open]] {
        let key = client();
        let decisions = limiter.check_all(&policies.map(|policy| Check::new(policy, &key))).await;
        assert!(decisions.iter().all(|decision| !decision.allowed()), "{decisions:?}");
    }
}
