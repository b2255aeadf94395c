//! A master, its replica, and three sentinels that watch over them.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{RedisServer, ServerProgram, free_port};

/// Real processes, ended with the value.
#[derive(Debug)]
pub struct Sentinels {
    /// The master at first.
    pub master: RedisServer,
    /// Its replica at first.
    pub replica: RedisServer,
    processes: Vec<Child>,
    ports: Vec<u16>,
    _directory: tempfile::TempDir,
}

impl Sentinels {
    /// Starts them, and waits until every sentinel knows all of the others.
    pub fn start() -> Sentinels {
        let master = RedisServer::start();
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]);
        let directory = tempfile::tempdir().expect("a directory for the sentinels");
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let processes = ports.iter().map(|port| {
            let configuration = directory.path().join(format!("{port}.conf"));
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 5000\n",
                directory.path().display(),
                master.port()
            );
            std::fs::write(&configuration, text).expect("a sentinel's configuration");
            let mut command = Command::new(ServerProgram::tested().path());
            command.arg(configuration).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("a server program that told its version")
        });
        let processes = processes.collect();
        let sentinels = Sentinels { master, replica, processes, ports, _directory: directory };
        let patience = Instant::now() + Duration::from_secs(40);
        while !sentinels.ports.iter().all(|port| Sentinels::is_ready(*port)) {
            assert!(Instant::now() < patience, "the sentinels do not find each other");
            std::thread::sleep(Duration::from_millis(100));
        }
        sentinels
    }

    fn is_ready(port: u16) -> bool {
        let told = redis::Client::open(("127.0.0.1", port)).and_then(|client| {
            let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
            redis::cmd("SENTINEL").arg("MASTER").arg("mymaster").query::<Vec<String>>(&mut connection)
        });
        let Ok(told) = told else { return false };
        let says = |name: &str, wanted: &str| told.windows(2).any(|pair| pair == [name, wanted]);
        says("num-slaves", "1") && says("num-other-sentinels", "2") && says("flags", "master")
    }

    /// Whether one of the servers is the master, every sentinel says so, and the other follows it.
    pub fn are_settled(&self) -> bool {
        let servers = [&self.master, &self.replica];
        let Some(master) = servers.iter().find(|server| server.is_master()) else { return false };
        let says_so = |port: &u16| {
            let told = redis::Client::open(("127.0.0.1", *port)).and_then(|client| {
                let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
                let mut command = redis::cmd("SENTINEL");
                command.arg("GET-MASTER-ADDR-BY-NAME").arg("mymaster").query::<(String, u16)>(&mut connection)
            });
            told.is_ok_and(|(_, port)| port == master.port()) && Sentinels::is_ready(*port)
        };
        servers.iter().any(|server| server.follows()) && self.ports.iter().all(says_so)
    }

    /// `redis+sentinel://…/mymaster`.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/mymaster", hosts.join(","))
    }

    /// Asks the first sentinel to make the replica the master.
    pub fn fail_over(&self) {
        let port = *self.ports.first().expect("three sentinels");
        let client = redis::Client::open(("127.0.0.1", port)).expect("an address");
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            let asked = client.get_connection().and_then(|mut connection| {
                redis::cmd("SENTINEL").arg("FAILOVER").arg("mymaster").query::<()>(&mut connection)
            });
            // It may not have found out yet that the replica is fit.
            let Err(error) = asked else { return };
            assert!(Instant::now() < patience, "{error}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Ends one sentinel.
    pub fn kill_first_sentinel(&mut self) {
        if let Some(first) = self.processes.first_mut() {
            let _ = first.kill();
            let _ = first.wait();
        }
    }
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
