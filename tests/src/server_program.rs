//! Which server the tests run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A program that serves Redis' protocol, alone, as a cluster's node, or as a sentinel.
#[derive(Debug)]
pub struct ServerProgram {
    path: PathBuf,
    major: u32,
}

impl ServerProgram {
    /// The one under test: the file that `RATEGUARD_TEST_SERVER` names, else the installed `redis-server`.
    pub fn tested() -> &'static ServerProgram {
        static TESTED: OnceLock<ServerProgram> = OnceLock::new();
        TESTED.get_or_init(|| {
            let named = std::env::var_os("RATEGUARD_TEST_SERVER").filter(|name| !name.is_empty());
            ServerProgram::at(named.unwrap_or_else(installed))
        })
    }

    /// The installed `redis-server`, for tests of TLS, which few other builds have.
    pub fn installed() -> &'static ServerProgram {
        static INSTALLED: OnceLock<ServerProgram> = OnceLock::new();
        INSTALLED.get_or_init(|| ServerProgram::at(installed()))
    }

    /// The one for a server with these arguments.
    pub(crate) fn of(arguments: &[String]) -> &'static ServerProgram {
        let has_tls = arguments.iter().any(|argument| argument == "--tls-port");
        if has_tls { ServerProgram::installed() } else { ServerProgram::tested() }
    }

    fn at(path: OsString) -> ServerProgram {
        let path = PathBuf::from(path);
        let output = Command::new(&path).arg("--version").output().unwrap_or_else(|error| {
            panic!(
                "{} cannot be run ({error}). Install it with ./tests/run, or: apt-get install redis-server",
                path.display()
            )
        });
        // `Redis server v=7.0.15 sha=…`, `Valkey server v=8.1.8 sha=…`.
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = said.split_whitespace().find_map(|word| word.strip_prefix("v="));
        let major = version.and_then(|version| version.split('.').next()?.parse().ok());
        let major = major.unwrap_or_else(|| panic!("{} does not say which version it is: {said:?}", path.display()));
        ServerProgram { path, major }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is of this major version or a later one.
    pub fn is_at_least(&self, major: u32) -> bool {
        self.major >= major
    }
}

fn installed() -> OsString {
    "redis-server".into()
}
