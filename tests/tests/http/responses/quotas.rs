//! Who is counted, and what the headers say.

use super::*;

async fn the_sixth_is_a_429_in_full(limiter: RateGuard) {
    let address = serve(app(limiter)).await;
    for remaining in [2, 1, 0] {
        let response = fetch(address, "/three").await;
        assert_eq!(response.status(), StatusCode::OK);
        let (limit, left, reset) = quota_headers(&response);
        assert_eq!((limit, left), (Some(3), Some(remaining)));
        assert!((1..=60).contains(&reset.unwrap()));
        assert_eq!(header(&response, "retry-after"), None);
        assert_eq!(response.text().await.unwrap(), "three");
    }
    let denied = fetch(address, "/three").await;
    assert_eq!(denied.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!((1..=60).contains(&number(&denied, "retry-after").unwrap()));
    assert_eq!(quota_headers(&denied).1, Some(0));
    assert_eq!(header(&denied, "content-type").unwrap(), "application/problem+json");
    assert_eq!(header(&denied, "cache-control").unwrap(), "no-store");
    let problem: serde_json::Value = serde_json::from_str(&denied.text().await.unwrap()).unwrap();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["status"], 429);
    assert_eq!(problem["violated-policies"], serde_json::json!(["http::responses::three"]));
    assert!(problem["detail"].as_str().unwrap().contains("No more than 3 requests in 1 minute; try again in"));
}

#[tokio::test]
async fn in_memory_the_sixth_is_a_429_in_full() {
    the_sixth_is_a_429_in_full(RateGuard::memory()).await;
}

#[tokio::test]
async fn in_redis_the_sixth_is_a_429_in_full() {
    let server = RedisServer::start();
    the_sixth_is_a_429_in_full(connected(RateGuard::builder(), &server).await).await;
}

#[tokio::test]
async fn each_key_source_tells_clients_apart() {
    let address = serve(app(RateGuard::memory())).await;
    for (path, name) in [("/key", "x-api-key"), ("/user", "x-user")] {
        for client in ["alice", "bob"] {
            for status in [200, 200, 429] {
                assert_eq!(fetch_with(address, path, name, client).await.status(), status, "{path} {client}");
            }
        }
    }
    for status in [200, 200, 429] {
        assert_eq!(fetch(address, "/all").await.status(), status);
    }
}

#[tokio::test]
async fn a_client_without_the_identity_is_counted_by_its_address() {
    let address = serve(app(RateGuard::memory())).await;
    for path in ["/key", "/user"] {
        for status in [200, 200, 429] {
            assert_eq!(fetch(address, path).await.status(), status);
        }
    }
    assert_eq!(fetch_with(address, "/key", "x-api-key", "").await.status(), 429, "an empty header is none");
    assert_eq!(fetch_with(address, "/key", "x-api-key", "carol").await.status(), 200, "others are not shut out");
}

#[tokio::test]
async fn handlers_share_a_bucket_only_by_name() {
    let address = serve(app(RateGuard::memory())).await;
    assert_eq!(fetch(address, "/one").await.status(), 200);
    assert_eq!(fetch(address, "/two").await.status(), 200);
    assert_eq!(fetch(address, "/one").await.status(), 429);
    assert_eq!(fetch(address, "/two").await.status(), 429);
    assert_eq!(fetch(address, "/three").await.status(), 200);
}

#[tokio::test]
async fn global_and_own_limit_are_both_counted_and_the_nearest_exhaustion_is_shown() {
    let limiter = RateGuard::memory();
    let app = Router::new()
        .route("/three", get(three))
        .route("/free", get(|| async {}))
        .layer(RateLimitLayer::new(limiter).limit("global", quota(5), KeyBy::Ip));
    let address = serve(app).await;
    assert_eq!(quota_headers(&fetch(address, "/free").await).0, Some(5));
    let shown = quota_headers(&fetch(address, "/three").await);
    assert_eq!((shown.0, shown.1), (Some(3), Some(2)));
    for _ in 0..2 {
        assert_eq!(fetch(address, "/three").await.status(), 200);
    }
    let denied = fetch(address, "/three").await;
    assert_eq!(denied.status(), 429);
    assert_eq!(quota_headers(&denied).0, Some(3));
    let served = fetch(address, "/free").await;
    assert_eq!(
        (quota_headers(&served).0, quota_headers(&served).1),
        (Some(5), Some(0)),
        "the denied one was given back"
    );
    let denied = fetch(address, "/free").await;
    assert_eq!(denied.status(), 429);
    assert_eq!(quota_headers(&denied).0, Some(5), "the global limit has counted all that were served");
}

#[tokio::test]
async fn layers_within_layers_write_the_headers_once() {
    let inner = Router::new().route("/three", get(three)).layer(RateLimitLayer::new(RateGuard::memory()).limit(
        "inner",
        quota(4),
        KeyBy::Ip,
    ));
    let app = Router::new().nest("/api", inner).layer(RateLimitLayer::new(RateGuard::memory()).limit(
        "outer",
        quota(9),
        KeyBy::Global,
    ));
    let address = serve(app).await;
    let shown = quota_headers(&fetch(address, "/api/three").await);
    assert_eq!((shown.0, shown.1), (Some(3), Some(2)));
}

#[tokio::test]
async fn the_layers_keys_and_its_skip_do_what_they_say() {
    let layer = RateLimitLayer::new(RateGuard::memory())
        .limit("by-header", quota(2), KeyBy::header("x-api-key"))
        .limit("by-fn", quota(4), KeyBy::from_fn(|head| Some(Key::new("path", head.uri.path()))))
        .limit("by-user", quota(50), KeyBy::User)
        .skip(|head| head.uri.path() == "/health");
    let app =
        Router::new().route("/a", get(|| async {})).route("/b", get(|| async {})).route("/health", get(|| async {}));
    let address = serve(app.layer(layer)).await;
    for status in [200, 200, 429, 429] {
        assert_eq!(fetch_with(address, "/a", "x-api-key", "one").await.status(), status);
    }
    // The denied requests were not charged by the limit by path.
    assert_eq!(fetch_with(address, "/a", "x-api-key", "two").await.status(), 200);
    assert_eq!(fetch_with(address, "/a", "x-api-key", "three").await.status(), 200);
    assert_eq!(fetch_with(address, "/a", "x-api-key", "four").await.status(), 429);
    assert_eq!(fetch_with(address, "/b", "x-api-key", "four").await.status(), 200);
    for _ in 0..10 {
        let response = fetch(address, "/health").await;
        assert_eq!(response.status(), 200);
        assert_eq!(quota_headers(&response), (None, None, None));
    }
}
