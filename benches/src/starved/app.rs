//! An app whose handlers block their threads, and its clients.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rateguard::{RateGuard, RateLimitLayer, rate_limit};
use rateguard_benches::wire;
use rateguard_tests::RedisServer;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// How long the handler blocks, in milliseconds.
pub(crate) static BLOCK: AtomicU64 = AtomicU64::new(0);
/// Whether the handler keeps a core busy while it blocks.
pub(crate) static BURN: AtomicBool = AtomicBool::new(false);
/// How often the handler ran.
static RUNS: AtomicU32 = AtomicU32::new(0);

fn work() -> &'static str {
    RUNS.fetch_add(1, Ordering::SeqCst);
    let block = Duration::from_millis(BLOCK.load(Ordering::SeqCst));
    if BURN.load(Ordering::SeqCst) {
        let end = Instant::now() + block;
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    } else {
        // As long as a hash would take, but without using up the machine's cores.
        thread::sleep(block);
    }
    "welcome"
}

#[rate_limit(limit = 5, window = 60, key = "global", name = "login")]
async fn login() -> &'static str {
    work()
}

#[rate_limit(limit = 5, window = 60, key = "ip", name = "login-by-address")]
async fn login_by_address() -> &'static str {
    work()
}

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The app on its own runtime, with its own Redis.
pub(crate) struct App {
    address: SocketAddr,
    server: Option<RedisServer>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl App {
    /// 0 workers: a current-thread runtime.
    pub(crate) fn start(workers: usize, shared: bool) -> App {
        RUNS.store(0, Ordering::SeqCst);
        let server = shared.then(RedisServer::start);
        let url = server.as_ref().map(RedisServer::url);
        let (stop, stopped) = oneshot::channel();
        let (told, address) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = match workers {
                0 => current_thread(),
                _ => Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("a runtime"),
            };
            let serving = async move {
                let limiter = url.map_or_else(RateGuard::memory, |url| RateGuard::redis(url).expect("a limiter"));
                while limiter.ready().await.is_err() {}
                let app = Router::new()
                    .route("/", get(login))
                    .route("/by-address", get(login_by_address))
                    .layer(RateLimitLayer::new(limiter))
                    .into_make_service_with_connect_info::<SocketAddr>();
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a listener");
                let _ = told.send(listener.local_addr().expect("its address"));
                axum::serve(listener, app).await
            };
            runtime.block_on(async {
                // On the workers, if there are any: this thread is not a worker.
                let serving = tokio::spawn(serving);
                let _ = stopped.await;
                serving.abort();
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        let address = address.recv().expect("the app's address");
        App { address, server, stop: Some(stop), thread: Some(thread) }
    }

    /// Sends each request on a connection that is already open. Returns how many handlers ran, and the answers.
    pub(crate) fn all_at_once(&self, requests: usize) -> (u32, Vec<u16>) {
        let together = Arc::new(Barrier::new(requests));
        let clients: Vec<_> = (0..requests)
            .map(|_| {
                let (address, together) = (self.address, Arc::clone(&together));
                let client = move || {
                    let mut stream = TcpStream::connect(address).expect("a connection");
                    together.wait();
                    ask(&mut stream, "/")
                };
                thread::Builder::new().stack_size(128 * 1024).spawn(client).expect("a client")
            })
            .collect();
        let statuses = clients.into_iter().map(|client| client.join().expect("an answer")).collect();
        (RUNS.load(Ordering::SeqCst), statuses)
    }

    /// One connection for each address, which asks again as soon as it is answered. Returns how many handlers ran.
    pub(crate) fn closed_loop(&self, path: &'static str, from: &[Ipv4Addr], seconds: u64) -> u32 {
        let end = Instant::now() + Duration::from_secs(seconds);
        let clients: Vec<_> = from
            .iter()
            .map(|from| {
                let mut stream = connect_from(*from, self.address);
                thread::spawn(move || {
                    while Instant::now() < end {
                        ask(&mut stream, path);
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().expect("a client");
        }
        RUNS.load(Ordering::SeqCst)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        drop(self.server.take());
    }
}

fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let stream = current_thread().block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(IpAddr::V4(from), 0)).expect("an address of this machine");
        socket.connect(to).await.and_then(tokio::net::TcpStream::into_std).expect("a connection")
    });
    stream.set_nonblocking(false).expect("a blocking socket");
    stream
}

fn ask(stream: &mut TcpStream, path: &str) -> u16 {
    let mut request = String::new();
    wire::request(&mut request, path, 1);
    stream.write_all(request.as_bytes()).expect("sent");
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer).expect("an answer") {
            0 => return 0,
            read => bytes.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
        if let Some(status) = wire::answer(&bytes) {
            return status;
        }
    }
}
