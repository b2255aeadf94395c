//! Bodies and connections.

use super::*;

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
