//! Denials in the log.

use super::*;

/// For the tests of the log, whose requests would be counted in the tests of the metrics.
mod logged {
    use rateguard::rate_limit;

    #[rate_limit(limit = 2, window = 60, name = "l-plain")]
    pub(super) async fn plain() {}

    #[rate_limit(limit = 1, window = 60, name = "l-shadow", shadow = true)]
    pub(super) async fn shadow() {}

    #[rate_limit(limit = 9, window = 60, name = "l-wide")]
    #[rate_limit(limit = 1, window = 60, name = "l-narrow")]
    pub(super) async fn stacked() {}
}

fn logged() -> Router {
    Router::new()
        .route("/plain", get(logged::plain))
        .route("/shadow", get(logged::shadow))
        .route("/stacked", get(logged::stacked))
}

#[tokio::test]
async fn a_denial_is_an_event_that_names_all_but_the_client() {
    let (log, _guard) = Log::capture(Level::DEBUG);
    let server = RedisServer::start();
    let limiters = [RateGuard::memory(), connected(RateGuard::builder(), &server).await];
    let mut identities = Vec::new();
    for limiter in limiters {
        let before = denials(&log).len();
        let app = App::with(limiter, logged());
        for path in ["/plain", "/plain", "/plain", "/plain", "/stacked", "/stacked", "/shadow", "/shadow"] {
            app.get(path).await;
        }
        let lines = denials(&log).split_off(before);
        let policies: Vec<&str> = lines.iter().map(|line| field(line, "policy")).collect();
        assert_eq!(policies, ["l-plain", "l-plain", "l-narrow", "l-shadow"], "{lines:?}");
        for line in &lines {
            assert!(line.contains("DEBUG") && !line.contains("192.0.2.1"), "{line}");
            assert_eq!(field(line, "key_kind"), "ip");
            assert!((1..=60).contains(&field(line, "retry_after").parse::<u64>().unwrap()));
            assert_eq!(field(line, "shadow"), (field(line, "policy") == "l-shadow").to_string());
            identities.push(field(line, "identity").to_owned());
        }
    }
    assert!(identities.iter().all(|identity| identity.len() == 33 && identity.starts_with('~')), "{identities:?}");
    identities.dedup();
    assert_eq!(identities.len(), 1, "the same client, whichever store counts");
}

#[tokio::test]
async fn an_identity_is_hashed_under_the_limiters_secret_and_differs_from_others() {
    let (log, _guard) = Log::capture(Level::DEBUG);
    let policy = Policy::new("t-hash", Quota::sliding_window(1, MINUTE));
    for secret in ["one", "another"] {
        let limiter = RateGuard::builder().secret(secret).build().unwrap();
        for key in [Key::user("alice"), Key::user("bob"), Key::secret("header.x", "s3cret")] {
            for _ in 0..2 {
                let _ = limiter.check(&policy, &key).await;
            }
        }
    }
    let lines = denials(&log);
    let mut identities: Vec<&str> = lines.iter().map(|line| field(line, "identity")).collect();
    identities.sort_unstable();
    identities.dedup();
    assert_eq!((lines.len(), identities.len()), (6, 6));
    assert!(lines.iter().all(|line| !line.contains("alice") && !line.contains("s3cret")));
}

#[tokio::test]
async fn without_anybody_who_listens_to_it_there_is_no_event() {
    let (log, _guard) = Log::capture(Level::INFO);
    let app = App::new(logged());
    assert_eq!(app.statuses(&["/plain"; 4]).await, [200, 200, 429, 429]);
    assert!(denials(&log).is_empty());
}
