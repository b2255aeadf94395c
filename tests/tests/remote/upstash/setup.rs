//! Where the service is, and whether it is trusted.

use super::*;

#[tokio::test]
async fn a_service_whose_certificate_is_not_trusted_is_not_told_the_token() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let authority = Authority::new();
    let proxy = TlsProxy::start(&authority, server.port());
    let limiter = builder(format!("https://localhost:{}", proxy.port())).deadline(PATIENCE).build().unwrap();
    assert_eq!(limiter.ready().await.unwrap_err().kind(), StoreErrorKind::Tls);
    assert!(server.asked().is_empty());
}

/// What the program prints of itself with these variables.
fn with_environment(variables: &[(&str, &str)]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_from-env"));
    for name in ["REDIS_URL", "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"] {
        program.env_remove(name);
    }
    let output = program.envs(variables.iter().copied()).stderr(Stdio::inherit()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_says_where_to_count() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let (url, token) = ("UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN");
    let both = [(url, &*server.url()), (token, TOKEN)];
    let counted = with_environment(&both);
    assert!(counted.contains("1 left, None\n0 left, None") && !counted.contains("hunter2"), "{counted}");
    assert_eq!(server.asked().iter().filter(|name| *name == "EVALSHA").count(), 3);
    let first = with_environment(&[both[0], both[1], ("REDIS_URL", &redis.url())]);
    assert!(first.contains("0 left, None") && server.asked().is_empty(), "REDIS_URL goes first: {first}");
    assert!(with_environment(&[]).contains("memory"));
    for (variables, names, says) in [
        (&both[..1], token, "it is not set, but UPSTASH_REDIS_REST_URL is"),
        (&both[1..], url, "it is not set, but UPSTASH_REDIS_REST_TOKEN is"),
        (&[(url, ""), both[1]], url, "it is empty"),
        (&[both[0], (token, "")], token, "it is empty"),
        (&[(url, TOKEN), (token, &server.url())], url, "it is not a URL"),
    ] {
        let error = with_environment(variables);
        assert!(error.starts_with(&format!("rateguard: {names}: ")) && error.contains(says), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_with_the_certificates_of_the_system() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let authority = Authority::new();
    let proxy = TlsProxy::start(&authority, server.port());
    let counted = with_environment(&[
        ("UPSTASH_REDIS_REST_URL", &format!("https://localhost:{}", proxy.port())),
        ("UPSTASH_REDIS_REST_TOKEN", TOKEN),
        ("SSL_CERT_FILE", authority.path("ca.pem").to_str().unwrap()),
    ]);
    assert!(counted.contains("1 left, None\n0 left, None"), "{counted}");
}
