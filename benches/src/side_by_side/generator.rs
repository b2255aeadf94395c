//! The bundled load generator: for some seconds, keep-alive connections send one request after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rateguard_benches::wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::arguments::Load;

/// The results of one connection.
#[derive(Default)]
struct Seen {
    latencies: Vec<u32>,
    denied: u64,
    failed: u64,
}

/// Makes the load and prints the results in the form that `load` reads.
pub(crate) fn run(load: &Load) {
    assert!(load.address.ip().is_loopback(), "the load may only go to loopback");
    let threads = if load.connections == 1 { 1 } else { 2 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let began = Instant::now();
    let seen = runtime.expect("a runtime").block_on(async {
        let end = began + Duration::from_secs(load.seconds.min(600).into());
        let next = Arc::new(AtomicU32::new(0));
        let connections: Vec<_> = (0..load.connections)
            .map(|_| {
                let (load, next) = (load.clone(), Arc::clone(&next));
                tokio::spawn(async move {
                    let mut seen = Seen::default();
                    if ask(&load, &next, end, &mut seen).await.is_err() {
                        seen.failed += 1;
                    }
                    seen
                })
            })
            .collect();
        let mut all = Seen::default();
        for connection in connections {
            let seen = connection.await.expect("it does not panic");
            all.latencies.extend(seen.latencies);
            all.denied += seen.denied;
            all.failed += seen.failed;
        }
        all
    });
    let Seen { mut latencies, denied, failed } = seen;
    latencies.sort_unstable();
    let percentile = |percent| latencies.get(latencies.len() * percent / 100).copied().unwrap_or(0);
    println!(
        "result {} {} {} {} {denied} {failed}",
        latencies.len(),
        began.elapsed().as_micros(),
        percentile(50),
        percentile(99)
    );
}

async fn ask(load: &Load, next: &AtomicU32, end: Instant, seen: &mut Seen) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let (mut request, mut answer) = (String::new(), Vec::new());
    while Instant::now() < end {
        request.clear();
        wire::request(&mut request, &load.path, next.fetch_add(1, Ordering::Relaxed) % load.keys);
        let sent = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        let status = loop {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(status) = wire::answer(&answer) {
                break status;
            }
        };
        seen.latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        seen.denied += u64::from(status >= 400);
    }
    Ok(())
}
