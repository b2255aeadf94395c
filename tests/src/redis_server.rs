//! A real Redis.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Connection, FromRedisValue};

use crate::{ServerClock, ServerProgram, free_port};

/// A server of the test's own, ended with it: [`ServerProgram::tested`], or, for TLS, [`ServerProgram::installed`].
#[derive(Debug)]
pub struct RedisServer {
    process: Option<Child>,
    port: u16,
    directory: tempfile::TempDir,
    arguments: Vec<String>,
    clock: Option<ServerClock>,
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
            clock.show_to(&mut command);
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
        self.lifetimes().into_iter().filter(|(_, left)| *left == -1).count()
    }

    /// Each key has one, of at most so many milliseconds.
    pub fn assert_lifetimes(&self, longest: i64) {
        for (key, left) in self.lifetimes() {
            // -2: it has left meanwhile.
            assert!((1..=longest).contains(&left) || left == -2, "{key}: {left}");
        }
    }

    /// Every key, and in how many milliseconds it leaves.
    fn lifetimes(&self) -> Vec<(String, i64)> {
        let keys = self.keys();
        if keys.is_empty() {
            // An empty pipeline is an error.
            return Vec::new();
        }
        let mut pipeline = redis::pipe();
        for key in &keys {
            pipeline.cmd("PTTL").arg(key);
        }
        pipeline.ignore_errors();
        let patience = Instant::now() + Duration::from_secs(10);
        let left = loop {
            let left: Vec<redis::RedisResult<i64>> =
                pipeline.query(&mut self.connection()).expect("their times to live");
            // For a moment after a fault, a node does not know yet that the others are there.
            let is_down = |error: &redis::RedisError| error.code() == Some("CLUSTERDOWN");
            if Instant::now() > patience || !left.iter().any(|left| left.as_ref().is_err_and(is_down)) {
                break left;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        // A node of a cluster may still hold keys of a slot that it no longer has. It will drop them, and tells nothing of them.
        let is_elsewhere = |error: &redis::RedisError| error.code() == Some("MOVED");
        let known = keys.into_iter().zip(left).filter(|(_, left)| !left.as_ref().is_err_and(is_elsewhere));
        known.map(|(key, left)| (key, left.expect("its time to live"))).collect()
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
