//! Handlers that upgrade their connection.

use super::*;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[rate_limit(limit = 2, window = 60)]
async fn socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(closed)
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn socket_by_argument(Path(id): Path<u32>, upgrade: WebSocketUpgrade) -> impl IntoResponse {
    let _ = id;
    upgrade.on_upgrade(closed)
}

async fn closed(_: WebSocket) {}

#[tokio::test]
async fn to_web_sockets_are_limited() {
    let limiter = RateLimitLayer::new(RateGuard::memory());
    let app = Router::new().route("/head", get(socket)).route("/{id}", get(socket_by_argument)).layer(limiter);
    let address = serve(app).await;
    for path in ["/head", "/7"] {
        for status in ["101", "101", "429"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut start = [0; 12];
            stream.read_exact(&mut start).await.unwrap();
            assert_eq!(start, format!("HTTP/1.1 {status}").as_bytes(), "{path}");
        }
    }
}
