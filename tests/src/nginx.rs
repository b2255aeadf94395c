//! A real nginx in front of a Unix socket.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::free_port;

/// What the example recommends, and what is tested therefore.
const CONFIGURATION: &str = include_str!("../../examples/nginx.conf");

/// An nginx of the test's own, in a directory of its own, ended with it.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Nginx {
    /// Starts one, with the example's configuration, in front of the app that [`socket`](Nginx::socket) is for.
    pub fn start() -> Nginx {
        let directory = tempfile::tempdir().expect("a directory for nginx");
        let port = free_port();
        let socket = socket_in(directory.path());
        let replaced = |text: &str, old: &str, new: &str| {
            assert!(text.contains(old), "{old} is in the example's configuration");
            text.replace(old, new)
        };
        let configuration = replaced(CONFIGURATION, "listen 127.0.0.1:8080;", &format!("listen 127.0.0.1:{port};"));
        let configuration = replaced(
            &configuration,
            "server unix:/tmp/rateguard/app.sock;",
            &format!("server unix:{};", socket.display()),
        );
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, configuration).expect("the configuration is written");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory.path()).arg("-c").arg(&file).args(["-e", "stderr"]);
        let process = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap_or_else(|error| {
            panic!("nginx cannot be started ({error}). Install it with ./tests/run, or: apt-get install nginx")
        });
        let mut nginx = Nginx { process, port, directory };
        let patience = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(nginx.address()).is_err() {
            let ended = nginx.process.try_wait().expect("a process");
            assert!(ended.is_none(), "nginx ended: {ended:?}");
            assert!(Instant::now() < patience, "nginx on port {port} does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        nginx
    }

    /// Where it listens for clients.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where it expects the app.
    pub fn socket(&self) -> PathBuf {
        socket_in(self.directory.path())
    }
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join("app.sock")
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It is one process.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
