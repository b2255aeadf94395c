//! What the tests share: real Redis servers, and a real listener.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on says so"
)]

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use redis::{Connection, FromRedisValue};

mod authority;
mod calls;
mod delay_line;
pub mod history;
mod log;
mod nginx;
mod proxy;
pub mod quiet;
mod redis_cluster;
mod sentinel;
mod server_program;
mod tls_proxy;
mod upstash_server;

pub use authority::Authority;
pub use calls::{Answer, App, request};
pub use delay_line::DelayLine;
pub use log::Log;
pub use nginx::Nginx;
pub use proxy::{Fault, Proxy};
pub use redis_cluster::RedisCluster;
pub use sentinel::Sentinels;
pub use server_program::ServerProgram;
pub use tls_proxy::TlsProxy;
pub use upstash_server::{Illness, UpstashServer};

/// A server of the test's own, ended with it: [`ServerProgram::tested`], or, for TLS, [`ServerProgram::installed`].
#[derive(Debug)]
pub struct RedisServer {
    process: Option<Child>,
    port: u16,
    directory: tempfile::TempDir,
    arguments: Vec<String>,
    clock: Option<ServerClock>,
}

/// The wall clock of a server that was started with one, in microseconds since 1970.
#[derive(Debug)]
pub struct ServerClock {
    file: std::fs::File,
    path: std::path::PathBuf,
    shim: std::path::PathBuf,
}

impl ServerClock {
    fn new(directory: &std::path::Path) -> ServerClock {
        let shim = directory.join("clock_shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/clock_shim.c");
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).arg("-ldl").status();
        let compiled = compiled.expect("a C compiler as `cc`, which Rust needs as well to link");
        assert!(compiled.success(), "clock_shim.c does not compile");
        let path = directory.join("clock");
        let file = std::fs::File::options().create(true).truncate(true).read(true).write(true).open(&path);
        let clock = ServerClock { file: file.expect("a file for the clock"), path, shim };
        clock.set(1_800_000_000_000_000);
        clock
    }

    /// Moves the server to this time.
    pub fn set(&self, micros: u64) {
        use std::os::unix::fs::FileExt;
        self.file.write_all_at(&micros.to_ne_bytes(), 0).expect("the clock is written");
    }
}

impl RedisServer {
    /// Starts one on a free port.
    pub fn start() -> RedisServer {
        RedisServer::start_with(&[])
    }

    /// Starts one with more arguments, such as `["--maxmemory", "1mb"]`.
    pub fn start_with(arguments: &[&str]) -> RedisServer {
        RedisServer::start_at(free_port(), arguments)
    }

    pub(crate) fn start_at(port: u16, arguments: &[&str]) -> RedisServer {
        let mut server = RedisServer::stopped();
        server.port = port;
        server.arguments = arguments.iter().map(ToString::to_string).collect();
        server.launch();
        server
    }

    /// Starts one whose wall clock is moved by the test.
    pub fn start_with_clock() -> RedisServer {
        let mut server = RedisServer::stopped();
        server.clock = Some(ServerClock::new(server.directory.path()));
        server.launch();
        server
    }

    /// The clock it was started with.
    pub fn clock(&self) -> &ServerClock {
        self.clock.as_ref().expect("a server started with a clock")
    }

    /// A free port and nobody there yet; [`launch`](Self::launch) starts the server.
    pub fn stopped() -> RedisServer {
        let directory = tempfile::tempdir().expect("a directory for the server");
        RedisServer { process: None, port: free_port(), directory, arguments: Vec::new(), clock: None }
    }

    /// Starts the server, on the port it had if it ran before, and waits until it answers.
    pub fn launch(&mut self) {
        let mut command = Command::new(self.program().path());
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(clock) = &self.clock {
            command.env("LD_PRELOAD", &clock.shim).env("RATEGUARD_TEST_CLOCK", &clock.path);
        }
        self.process = Some(command.spawn().expect("a server program that told its version"));
        let patience = Instant::now() + Duration::from_secs(20);
        while !self.answers() {
            let program = self.program().path().display();
            assert!(Instant::now() < patience, "{program} on port {} does not answer", self.port);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn program(&self) -> &'static ServerProgram {
        ServerProgram::of(&self.arguments)
    }

    /// Ends the server as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Whether it was started and not killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The id of the process, for signals.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running server").id()
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection of the test's own.
    pub fn connection(&self) -> Connection {
        redis::Client::open(self.url()).and_then(|client| client.get_connection()).expect("a connection")
    }

    /// Runs a command, as `redis-cli` would.
    pub fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Whether it says that it is a master. While its role changes, it closes all connections; then the answer is no.
    pub fn is_master(&self) -> bool {
        let info = self.try_command::<String>(&["INFO", "replication"]);
        info.is_ok_and(|info| info.contains("role:master"))
    }

    /// Whether the server talks to us, be it to ask for a password.
    fn answers(&self) -> bool {
        match self.try_command::<String>(&["PING"]) {
            Ok(_) => true,
            Err(error) => error.code() == Some("NOAUTH") || error.kind() == redis::ErrorKind::AuthenticationFailed,
        }
    }

    pub(crate) fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        command.query(&mut connection)
    }

    /// Whether this node of a cluster says that a key's slot is its own.
    pub fn has_key_slot(&self, key: &str) -> bool {
        self.try_command::<String>(&["TYPE", key]).is_ok()
    }

    /// How many keys would never leave.
    pub fn keys_without_ttl(&self) -> usize {
        let mut pipeline = redis::pipe();
        for key in self.keys() {
            pipeline.cmd("PTTL").arg(key);
        }
        let left: Vec<i64> = pipeline.query(&mut self.connection()).expect("their times to live");
        left.into_iter().filter(|left| *left == -1).count()
    }

    /// Whether it is a replica that hears its master.
    pub(crate) fn follows(&self) -> bool {
        let info = self.try_command::<String>(&["INFO", "replication"]);
        info.is_ok_and(|info| info.contains("role:slave") && info.contains("master_link_status:up"))
    }

    /// Every key there is.
    pub fn keys(&self) -> Vec<String> {
        self.command(&["KEYS", "*"])
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens on, and that no other test is given: below those that the system hands out, so that no
/// connection takes it meanwhile, and each only once.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    // Test programs that run at once begin at places of their own.
    let start = std::process::id().wrapping_mul(257);
    for _ in 0..COUNT {
        let turn = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + turn % COUNT).expect("within the range");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {FIRST} on is free");
}

/// One where the port so many above is free as well.
fn free_port_with(above: u16) -> u16 {
    loop {
        let port = free_port();
        // Not among those that the system hands out.
        let other = port + above;
        if other < 32_768 && TcpListener::bind(("127.0.0.1", other)).is_ok() {
            return port;
        }
    }
}

/// Serves an app on a real listener until the test's runtime ends.
pub async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// A limiter that has reached its server.
pub async fn connected(builder: rateguard::RateGuardBuilder, server: &RedisServer) -> rateguard::RateGuard {
    let limiter = builder.redis(server.url()).deadline(Duration::from_secs(10)).build().expect("a limiter");
    limiter.ready().await.expect("the server answers");
    limiter
}

/// The same, by Upstash's protocol.
pub async fn connected_upstash(builder: rateguard::RateGuardBuilder, server: &UpstashServer) -> rateguard::RateGuard {
    let builder = builder.upstash(server.url(), UpstashServer::TOKEN).deadline(Duration::from_secs(10));
    let limiter = builder.build().expect("a limiter");
    limiter.ready().await.expect("the service answers");
    limiter
}

/// The I/O error that an error comes from, if there is one.
pub fn io_error(error: &(dyn std::error::Error + 'static)) -> Option<std::io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}
