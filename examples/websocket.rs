//! Messages of a WebSocket, limited one by one with `check`: a connection is one request, however many messages it sends.
//!
//! ```text
//! cargo run --features ws --example websocket
//! npx wscat -c ws://127.0.0.1:3000/chat      # or: websocat ws://127.0.0.1:3000/chat
//! ```
//!
//! Type quickly: five messages at once are allowed, then one every two seconds. Ten denied messages in a row end the connection.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use axum::routing::get;
use rateguard::{Key, Policy, Quota, RateGuard, RateLimitLayer, rate_limit};

/// Five at once, and one more every two seconds. Counted per client, so a second connection gets no second quota.
const MESSAGES: Policy = Policy::new("chat-messages", Quota::token_bucket(5, Duration::from_secs(10)));

/// After this many denied messages in a row, the connection is closed.
const PATIENCE: u32 = 10;

/// Opening a connection is limited like any other request.
#[rate_limit(limit = 20, window = 60)]
async fn chat(
    upgrade: WebSocketUpgrade,
    State(limiter): State<RateGuard>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
) -> Response {
    // If your app has users, `Key::user(id)` is the better key.
    upgrade.on_upgrade(move |socket| talk(socket, limiter, Key::ip(client.ip())))
}

async fn talk(mut socket: WebSocket, limiter: RateGuard, client: Key) {
    let mut ignored = 0;
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let decision = limiter.check(&MESSAGES, &client).await;
        let answer = if decision.allowed() {
            ignored = 0;
            format!("echo: {text} ({} left)", decision.remaining())
        } else {
            ignored += 1;
            if ignored == PATIENCE {
                let reason = Utf8Bytes::from_static("too many messages");
                let _ = socket.send(Message::Close(Some(CloseFrame { code: close_code::POLICY, reason }))).await;
                return;
            }
            let wait = decision.retry_after().unwrap_or_default();
            format!("not delivered: try again in {:.1} s", wait.as_secs_f64())
        };
        if socket.send(answer.into()).await.is_err() {
            return;
        }
    }
}

fn app(limiter: RateGuard) -> Router {
    Router::new().route("/chat", get(chat)).with_state(limiter.clone()).layer(RateLimitLayer::new(limiter))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(RateGuard::from_env()?);
    let listener = rateguard_examples::listen(&["npx wscat -c ws://HOST/chat"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use rateguard::ManualClock;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;

    type Client = WebSocketStream<TcpStream>;

    async fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.unwrap();
        tokio_tungstenite::client_async(format!("ws://{address}/chat"), stream).await.unwrap().0
    }

    async fn say(client: &mut Client, words: &str) -> Message {
        client.send(words.into()).await.unwrap();
        client.next().await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn messages_are_limited_over_all_connections_of_a_client() {
        let clock = ManualClock::new();
        let app = app(RateGuard::builder().clock(clock.clone()).build().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });

        let (mut one, mut other) = (connect(address).await, connect(address).await);
        for left in [4, 3, 2] {
            assert_eq!(say(&mut one, "hello").await.to_string(), format!("echo: hello ({left} left)"));
        }
        for left in [1, 0] {
            assert_eq!(say(&mut other, "hello").await.to_string(), format!("echo: hello ({left} left)"));
        }
        assert_eq!(say(&mut other, "hello").await.to_string(), "not delivered: try again in 2.0 s");
        clock.advance(Duration::from_secs(2));
        assert_eq!(say(&mut one, "again").await.to_string(), "echo: again (0 left)");

        for _ in 1..PATIENCE {
            assert!(say(&mut one, "spam").await.to_string().starts_with("not delivered"));
        }
        let Message::Close(Some(close)) = say(&mut one, "spam").await else { panic!("still open") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (close_code::POLICY, "too many messages"));
    }
}
