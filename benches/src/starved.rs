//! Handlers that block their thread, as a password hash does: how many requests are allowed, although the limit is five per
//! minute and Redis is healthy.
//!
//! ```text
//! cargo run --release -p rateguard-benches --bin starved
//! cargo run --release -p rateguard-benches --bin starved -- --only burst --rounds 1
//! ```
//!
//! The clients are threads with blocking sockets, so that only the program starves, and never its clients.
#![allow(clippy::expect_used, reason = "a program that measures stops where it cannot")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rateguard::{Key, Policy, Quota, RateGuard, RateLimitLayer, rate_limit};
use rateguard_benches::{process_group, wire};
use rateguard_tests::RedisServer;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

const LIMIT: u32 = 5;
const HELP: &str = "\
Handlers that block.

    cargo run --release -p rateguard-benches --bin starved -- [options]

    --rounds N       rounds of each case (3); the table shows the most that were allowed, and each round
    --only A,B       only these: burst, client, addresses, owner
    --block A,B      milliseconds that a handler blocks, in `burst` (20,60,150)
    --workers A,B    number of worker threads, in `burst`; 0 is a current-thread runtime (0,1,2)
    --requests A,B   simultaneous requests, in `burst` (100,300)
    --burn           handlers keep a core busy instead of sleeping";

/// How long the handler blocks, in milliseconds.
static BLOCK: AtomicU64 = AtomicU64::new(0);
/// Whether the handler keeps a core busy while it blocks.
static BURN: AtomicBool = AtomicBool::new(false);
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

fn main() {
    let arguments = Arguments::read();
    process_group::run(|| measure(&arguments));
}

fn measure(arguments: &Arguments) {
    println!(
        "limit {LIMIT} per minute, Redis healthy, defaults, `Open`. Handlers that ran: the most of all rounds (each round)\n"
    );
    if arguments.wants("burst") {
        burst(arguments);
    }
    if arguments.wants("client") {
        one_client(arguments);
    }
    if arguments.wants("addresses") {
        addresses(arguments);
    }
    if arguments.wants("owner") {
        owner_blocks(arguments);
    }
}

/// Many simultaneous requests.
fn burst(arguments: &Arguments) {
    let columns: Vec<String> = arguments
        .block
        .iter()
        .flat_map(|ms| arguments.requests.iter().map(move |n| format!("{n} × {ms} ms")))
        .collect();
    println!("## Simultaneous requests, {LIMIT} allowed\n\n| runtime | {} |", columns.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len()));
    for &workers in &arguments.workers {
        let mut cells = Vec::new();
        for &block in &arguments.block {
            for &requests in &arguments.requests {
                let ran = (0..arguments.rounds).map(|_| {
                    BLOCK.store(block, Ordering::SeqCst);
                    let app = App::start(workers, true);
                    let (ran, statuses) = app.all_at_once(requests);
                    let others = statuses.iter().filter(|status| !matches!(status, 200 | 429)).count();
                    eprintln!(
                        "{workers} workers, {requests} × {block} ms: {ran} ran, {others} answers other than 200 and 429"
                    );
                    ran
                });
                cells.push(shown(ran));
            }
        }
        println!("| {} | {} |", name(workers), cells.join(" | "));
    }
}

/// One client with 32 connections. Each asks again as soon as it is answered.
fn one_client(arguments: &Arguments) {
    println!("\n## One client with 32 connections for 6 s, a current-thread runtime, {LIMIT} allowed\n");
    println!("| a handler blocks | in memory | Redis |\n|---:|---:|---:|");
    for block in [20, 60, 150] {
        let cells = [false, true].map(|shared| {
            shown((0..arguments.rounds).map(|_| {
                BLOCK.store(block, Ordering::SeqCst);
                let ran = App::start(0, shared).closed_loop("/", &[Ipv4Addr::LOCALHOST; 32], 6);
                eprintln!("one client, {block} ms, Redis: {shared}: {ran} ran");
                ran
            }))
        });
        println!("| {block} ms | {} |", cells.join(" | "));
    }
}

/// Eight addresses with four connections each.
fn addresses(arguments: &Arguments) {
    println!("\n## 32 connections from 8 addresses for 8 s, a handler blocks 120 ms, {} allowed\n", 8 * LIMIT);
    println!("| runtime | in memory | Redis |\n|---|---:|---:|");
    let from: Vec<Ipv4Addr> = (0..32).map(|n| Ipv4Addr::new(127, 0, 0, 2 + n % 8)).collect();
    for workers in [1, 2] {
        let cells = [false, true].map(|shared| {
            shown((0..arguments.rounds).map(|_| {
                BLOCK.store(120, Ordering::SeqCst);
                let ran = App::start(workers, shared).closed_loop("/by-address", &from, 8);
                eprintln!("8 addresses, {workers} workers, Redis: {shared}: {ran} ran");
                ran
            }))
        });
        println!("| {} | {} |", name(workers), cells.join(" | "));
    }
}

/// Several current-thread runtimes share a limiter. The runtime of the limiter's task blocks, and another runtime checks.
fn owner_blocks(arguments: &Arguments) {
    println!("\n## A limiter shared by current-thread runtimes, whose owner blocks; 6 checks from another runtime\n");
    println!("| the owner blocks | degraded, of 6 | slowest check |\n|---|---:|---:|");
    for (block, name) in [(60, "60 ms at a time"), (150, "150 ms at a time"), (5000, "for 5 s")] {
        let mut degraded = Vec::new();
        let mut slowest = Duration::ZERO;
        for _ in 0..arguments.rounds {
            let (count, took) = checks_from_another_runtime(Duration::from_millis(block));
            eprintln!("the owner blocks {name}: {count} of 6 degraded, {took:?}");
            degraded.push(count);
            slowest = slowest.max(took);
        }
        println!("| {name} | {} | {} ms |", shown(degraded.into_iter()), slowest.as_millis());
    }
}

fn checks_from_another_runtime(block: Duration) -> (u32, Duration) {
    let server = RedisServer::start();
    let url = server.url();
    let (made, limiter) = std::sync::mpsc::channel();
    let owner = thread::spawn(move || {
        current_thread().block_on(async {
            let limiter = RateGuard::redis(url).expect("a limiter");
            while limiter.ready().await.is_err() {}
            let _ = made.send(limiter);
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                thread::sleep(block);
                // Lets the runtime handle what has arrived, as between two requests.
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            }
        });
    });
    let limiter = limiter.recv().expect("the limiter");
    // By now, the owner blocks.
    thread::sleep(Duration::from_millis(20));
    let policy = Policy::new("shared", Quota::sliding_window(LIMIT, Duration::from_secs(60)));
    let (mut degraded, mut slowest) = (0, Duration::ZERO);
    current_thread().block_on(async {
        for n in 0..6 {
            let start = Instant::now();
            degraded += u32::from(limiter.check(&policy, &Key::user(n)).await.degraded());
            slowest = slowest.max(start.elapsed());
        }
    });
    owner.join().expect("the owner");
    (degraded, slowest)
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The app on its own runtime, with its own Redis.
struct App {
    address: SocketAddr,
    server: Option<RedisServer>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl App {
    /// 0 workers: a current-thread runtime.
    fn start(workers: usize, shared: bool) -> App {
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
    fn all_at_once(&self, requests: usize) -> (u32, Vec<u16>) {
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
    fn closed_loop(&self, path: &'static str, from: &[Ipv4Addr], seconds: u64) -> u32 {
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

fn name(workers: usize) -> String {
    match workers {
        0 => "current thread".to_owned(),
        1 => "1 worker".to_owned(),
        many => format!("{many} workers"),
    }
}

fn shown(ran: impl Iterator<Item = u32>) -> String {
    let ran: Vec<u32> = ran.collect();
    let each: Vec<String> = ran.iter().map(ToString::to_string).collect();
    let most = ran.iter().max().copied().unwrap_or_default();
    format!("{most} ({})", each.join(" "))
}

struct Arguments {
    rounds: u32,
    only: Vec<String>,
    block: Vec<u64>,
    workers: Vec<usize>,
    requests: Vec<usize>,
}

impl Arguments {
    fn read() -> Arguments {
        let mut arguments = Arguments {
            rounds: 3,
            only: Vec::new(),
            block: vec![20, 60, 150],
            workers: vec![0, 1, 2],
            requests: vec![100, 300],
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| stop(&format!("{word} needs a value")));
            match word.as_str() {
                "--rounds" => arguments.rounds = numbers(&value()).first().copied().unwrap_or(1),
                "--only" => arguments.only = value().split(',').map(ToOwned::to_owned).collect(),
                "--block" => arguments.block = numbers(&value()),
                "--workers" => arguments.workers = numbers(&value()),
                "--burn" => BURN.store(true, Ordering::SeqCst),
                "--requests" => arguments.requests = numbers(&value()),
                "--help" | "-h" => stop(HELP),
                other => stop(&format!("unknown option {other}\n\n{HELP}")),
            }
        }
        arguments
    }

    fn wants(&self, what: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == what)
    }
}

fn numbers<T: std::str::FromStr>(text: &str) -> Vec<T> {
    let number = |text: &str| text.trim().parse().unwrap_or_else(|_| stop(&format!("{text} is not a number")));
    text.split(',').map(number).collect()
}

fn stop(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(2)
}
