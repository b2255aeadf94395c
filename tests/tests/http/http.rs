//! What a client sees, through a real listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::routing::{get, post};
use axum::{Json, Router};
use rateguard::{HttpLimit, Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, UserId, rate_limit};
use rateguard_tests::{RedisServer, connected, serve};
use reqwest::{Client, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MINUTE: Duration = Duration::from_secs(60);

fn quota(limit: u32) -> Quota {
    Quota::sliding_window(limit, MINUTE)
}

fn header(response: &Response, name: &str) -> Option<String> {
    let mut values = response.headers().get_all(name).iter();
    let value = values.next()?.to_str().unwrap().to_owned();
    assert!(values.next().is_none(), "{name} is doubled");
    Some(value)
}

fn number(response: &Response, name: &str) -> Option<u64> {
    header(response, name).map(|value| value.parse().unwrap())
}

fn quota_headers(response: &Response) -> (Option<u64>, Option<u64>, Option<u64>) {
    (
        number(response, "x-ratelimit-limit"),
        number(response, "x-ratelimit-remaining"),
        number(response, "x-ratelimit-reset"),
    )
}

async fn fetch(address: SocketAddr, path: &str) -> Response {
    Client::new().get(format!("http://{address}{path}")).send().await.unwrap()
}

async fn fetch_with(address: SocketAddr, path: &str, name: &str, value: &str) -> Response {
    Client::new().get(format!("http://{address}{path}")).header(name, value).send().await.unwrap()
}

#[rate_limit(limit = 3, window = 60, key = "ip")]
async fn three() -> &'static str {
    "three"
}

#[rate_limit(limit = 2, window = "1m", key = "header:x-api-key")]
async fn by_key() {}

#[rate_limit(limit = 2, window = Duration::from_secs(60), key = "user")]
async fn by_user() {}

#[rate_limit(limit = 2, window = 60, key = "global")]
async fn by_all() {}

#[rate_limit(limit = 2, window = 60, name = "shared-name")]
async fn shares_one() {}

#[rate_limit(limit = 2, window = 60, name = "shared-name")]
async fn shares_two() {}

fn app(limiter: RateGuard) -> Router {
    Router::new()
        .route("/three", get(three))
        .route("/key", get(by_key))
        .route("/user", get(by_user))
        .route("/all", get(by_all))
        .route("/one", get(shares_one))
        .route("/two", get(shares_two))
        .layer(RateLimitLayer::new(limiter))
        .layer(middleware::from_fn(authenticate))
}

/// Believes every word: the tests are not about authentication.
async fn authenticate(mut request: Request, next: Next) -> axum::response::Response {
    if let Some(user) = request.headers().get("x-user") {
        let user = UserId::new(user.to_str().unwrap());
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

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
    assert_eq!(problem["violated-policies"], serde_json::json!(["http::http::three"]));
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

static BODIES: AtomicUsize = AtomicUsize::new(0);

#[rate_limit(limit = 1, window = 60)]
async fn create(Json(value): Json<serde_json::Value>) -> Json<serde_json::Value> {
    BODIES.fetch_add(1, Ordering::Relaxed);
    Json(value)
}

#[tokio::test]
async fn the_denial_comes_before_the_body_is_read() {
    let app = Router::new().route("/", post(create)).layer(RateLimitLayer::new(RateGuard::memory()));
    let address = serve(app).await;
    let post = |body: &'static str| {
        Client::new().post(format!("http://{address}/")).header("content-type", "application/json").body(body).send()
    };
    assert_eq!(post("{\"a\":1}").await.unwrap().status(), 200);
    // Were the body read first, this would be a 400.
    assert_eq!(post("not json").await.unwrap().status(), 429);
    assert_eq!(BODIES.load(Ordering::Relaxed), 1);
}

/// Requests written down, on one connection.
struct Connection(TcpStream);

impl Connection {
    async fn to(address: SocketAddr) -> Connection {
        Connection(TcpStream::connect(address).await.unwrap())
    }

    /// The status, and the lines of the head.
    async fn send(&mut self, request: &[u8]) -> (u16, String) {
        self.0.write_all(request).await.unwrap();
        let mut read = Vec::new();
        let head = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8(read.drain(..end + 4).collect()).unwrap().to_lowercase();
            }
            assert!(self.0.read_buf(&mut read).await.unwrap() > 0, "it ended: {}", String::from_utf8_lossy(&read));
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let length: usize = length.parse().unwrap();
        while read.len() < length {
            assert!(self.0.read_buf(&mut read).await.unwrap() > 0);
        }
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
    }

    /// Whether nothing more comes.
    async fn ends(&mut self) -> bool {
        // A connection with unread bytes in it is reset.
        self.0.read(&mut [0; 1]).await.unwrap_or(0) == 0
    }
}

/// A request that announces so much of a body, with what comes of it.
fn upload(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}").into_bytes()
}

/// `/attribute`, `/layer`, and `/own` with an answer of its own, all of which deny.
async fn denying(limiter: RateGuard) -> SocketAddr {
    #[rate_limit(limit = 1, window = 60)]
    async fn attribute(_: String) {}

    let read = || post(async |_: String| "read");
    let never = || RateLimitLayer::new(limiter.clone()).limit("never", quota(1), KeyBy::Global);
    let own = never().on_denied(|_: &rateguard::Denied| (StatusCode::PAYLOAD_TOO_LARGE, "no"));
    let app = Router::new()
        .route("/attribute", post(attribute))
        .layer(RateLimitLayer::new(limiter.clone()))
        .merge(Router::new().route("/layer", read()).layer(never()))
        .merge(Router::new().route("/own", read()).layer(own))
        .route("/open", read());
    let policy = Policy::new("never", quota(1));
    assert!(limiter.check(&policy, &Key::global()).await.allowed());
    let address = serve(app).await;
    assert_eq!(Client::new().post(format!("http://{address}/attribute")).send().await.unwrap().status(), 200);
    address
}

const DENYING: [(&str, u16); 3] = [("/attribute", 429), ("/layer", 429), ("/own", 413)];

async fn a_denied_upload_is_told_that_its_connection_ends(limiter: RateGuard) {
    let address = denying(limiter).await;
    for (path, denied) in DENYING {
        for (headers, body) in [
            ("Content-Length: 1000000\r\n", "x".repeat(10_000)),
            ("Content-Length: 10000\r\nExpect: 100-continue\r\n", String::new()),
            ("Content-Length: 10\r\nExpect: 100-continue\r\n", String::new()),
            ("Transfer-Encoding: chunked\r\n", format!("2710\r\n{}\r\n", "x".repeat(10_000))),
        ] {
            let mut connection = Connection::to(address).await;
            let (status, head) = connection.send(&upload(path, headers, &body)).await;
            assert_eq!(status, denied, "{path} {headers}");
            assert!(head.contains("\r\nconnection: close\r\n"), "{path} {headers}: {head}");
            assert!(connection.ends().await, "{path} {headers}");
        }
    }
}

#[tokio::test]
async fn in_memory_a_denied_upload_is_told_that_its_connection_ends() {
    a_denied_upload_is_told_that_its_connection_ends(RateGuard::memory()).await;
}

#[tokio::test]
async fn in_redis_a_denied_upload_is_told_that_its_connection_ends() {
    let server = RedisServer::start();
    // Without the deny cache each denial comes from Redis, and so a little later.
    let builder = RateGuard::builder().deny_cache(Duration::ZERO);
    a_denied_upload_is_told_that_its_connection_ends(connected(builder, &server).await).await;
}

#[tokio::test]
async fn a_denied_request_with_a_small_body_or_none_keeps_its_connection() {
    let address = denying(RateGuard::memory()).await;
    for (path, denied) in DENYING {
        let mut connection = Connection::to(address).await;
        for length in [0, 1, 100, 4096, 1000, 0] {
            let request = upload(path, &format!("Content-Length: {length}\r\n"), &"x".repeat(length));
            let (status, head) = connection.send(&request).await;
            assert_eq!(status, denied, "{path} {length}");
            assert!(!head.contains("connection:"), "{path} {length}: {head}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_is_read_keeps_its_connection() {
    let address = denying(RateGuard::memory()).await;
    let mut connection = Connection::to(address).await;
    for _ in 0..3 {
        let request = upload("/open", "Content-Length: 100000\r\n", &"x".repeat(100_000));
        let (status, head) = connection.send(&request).await;
        assert_eq!(status, 200);
        assert!(!head.contains("connection:"), "{head}");
    }
}

#[tokio::test]
async fn a_request_whose_extractors_fail_is_still_counted() {
    let app = Router::new().route("/", post(create)).layer(RateLimitLayer::new(RateGuard::memory()));
    let address = serve(app).await;
    let response = Client::new().post(format!("http://{address}/")).body("x").send().await.unwrap();
    assert_eq!(response.status(), 415);
    assert_eq!(quota_headers(&response).1, Some(0));
}

#[tokio::test]
async fn a_handler_without_the_layer_answers_500() {
    let address = serve(Router::new().route("/three", get(three))).await;
    assert_eq!(fetch(address, "/three").await.status(), 500);
}

#[tokio::test]
async fn a_limit_by_address_without_addresses_answers_500() {
    use tower::ServiceExt;
    for app in [
        Router::new().route("/", get(three)).layer(RateLimitLayer::new(RateGuard::memory())),
        Router::new().route("/", get(|| async {})).layer(RateLimitLayer::new(RateGuard::memory()).limit(
            "global",
            quota(5),
            KeyBy::Ip,
        )),
    ] {
        let request = Request::builder().uri("/").body(axum::body::Body::empty()).unwrap();
        assert_eq!(app.oneshot(request).await.unwrap().status(), 500);
    }
}

#[tokio::test]
async fn a_shadow_policy_counts_but_neither_denies_nor_shows() {
    let layer = RateLimitLayer::new(RateGuard::memory())
        .rule(HttpLimit::new("shadow", quota(1), KeyBy::Global).shadow(true))
        .limit("real", quota(9), KeyBy::Global);
    let address = serve(Router::new().route("/", get(|| async {})).layer(layer)).await;
    for remaining in (4..9).rev() {
        let response = fetch(address, "/").await;
        assert_eq!(response.status(), 200);
        let (limit, left, _) = quota_headers(&response);
        assert_eq!((limit, left), (Some(9), Some(remaining)), "the other limit counts as if there were no shadow");
    }
}

#[tokio::test]
async fn a_service_that_was_not_ready_is_not_called() {
    use std::convert::Infallible;
    use std::task::{Context, Poll};
    use tower::{Layer, Service, ServiceExt};

    /// Only the instance that said it was ready may be called.
    #[derive(Default)]
    struct Strict {
        ready: bool,
        calls: Arc<AtomicUsize>,
    }
    impl Clone for Strict {
        fn clone(&self) -> Strict {
            Strict { ready: false, calls: Arc::clone(&self.calls) }
        }
    }
    impl Service<Request> for Strict {
        type Response = axum::response::Response;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Request) -> Self::Future {
            assert!(std::mem::take(&mut self.ready), "called without being ready");
            self.calls.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(axum::response::Response::default()))
        }
    }

    let server = RedisServer::start();
    for limiter in [RateGuard::memory(), connected(RateGuard::builder(), &server).await] {
        let strict = Strict::default();
        let mut service = RateLimitLayer::new(limiter).limit("l", quota(3), KeyBy::Global).layer(strict.clone());
        for status in [200, 200, 200, 429, 429] {
            let response = service.ready().await.unwrap().call(Request::default()).await.unwrap();
            assert_eq!(response.status(), status);
        }
        assert_eq!(strict.calls.load(Ordering::Relaxed), 3, "a denied request never reaches the service");
    }
}
