//! Clients that hang up, end, or send what no server expects.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rateguard::{Key, KeyBy, Quota, RateLimitLayer};
use rateguard_tests::{RedisServer, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::watch::{MINUTE, Watch, connected, policy};

pub(crate) async fn hang_up(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = connected(server.url()).await;
    let mut clients = JoinSet::new();
    for n in 0..16_u64 {
        let limiter = limiter.clone();
        clients.spawn(async move {
            for turn in 0..200_u64 {
                // Dropped before it is polled, while it waits, and when it is done.
                let patience = Duration::from_micros((n * 37 + turn * 13) % 600);
                let (policy, key) = (policy("hang-up"), Key::user(n.to_string()));
                let check = limiter.check(&policy, &key);
                let _ = tokio::time::timeout(patience, check).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    for n in 0..16 {
        let key = Key::user(n.to_string());
        let before = watch.used(&limiter, &policy("hang-up"), &key).await;
        assert!(before <= 200, "X: {before} of 200");
        let decision = watch.check(&limiter, &policy("hang-up"), &key).await;
        assert_eq!(100_000 - decision.remaining(), before + 1, "later answers are to those who asked");
    }
}

pub(crate) async fn runtime_gone(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = connected(server.url()).await;
    let mut sent = 0;
    for turn in 0..20 {
        let limiter = limiter.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            for _ in 0..50 {
                let limiter = limiter.clone();
                runtime.spawn(async move { watch.check(&limiter, &policy("gone"), &Key::global()).await.allowed() });
            }
            std::thread::sleep(Duration::from_micros(turn * 50));
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        // A panic or a hang would show here.
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
        sent += 50;
    }
    watch.recovers(&limiter).await;
    assert!(watch.used(&limiter, &policy("gone"), &Key::global()).await <= sent, "X");

    // The task is on a runtime that ends; the next check starts another on its own runtime.
    let url = server.url();
    let moved = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let moved = runtime.block_on(connected(url));
        drop(runtime);
        moved
    });
    let moved = moved.await.unwrap();
    watch.recovers(&moved).await;
}

pub(crate) async fn odd_headers(watch: &'static Watch) {
    let server = RedisServer::start();
    let limiter = connected(server.url()).await;
    let app = Router::new().route("/", get(|| async { "served" })).layer(RateLimitLayer::new(limiter.clone()).limit(
        "odd",
        Quota::sliding_window(1000, MINUTE),
        KeyBy::header("x-key"),
    ));
    let address = serve(app).await;
    let megabyte = vec![b'x'; 1 << 20];
    let odd: [&[u8]; 4] = [b"\xff\xfe\x80", b"{}:*\"\\", "größe".as_bytes(), &megabyte];
    for value in odd {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let sent = async {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-key: ").await?;
            stream.write_all(value).await?;
            stream.write_all(b"\r\n\r\n").await
        };
        // A server that stops reading such a long head may hang up before all of it was sent.
        let _ = sent.await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let status = String::from_utf8_lossy(&answer).chars().skip(9).take(3).collect::<String>();
        assert!(matches!(&*status, "200" | "431" | ""), "{} bytes: {status}", value.len());
        watch.note(format!("{} bytes: {status}", value.len()));
    }
    assert!(server.keys().iter().all(|key| key.len() < 100 && key.is_ascii()), "{:?}", server.keys());
    watch.recovers(&limiter).await;
}
