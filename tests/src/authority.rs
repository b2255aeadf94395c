//! Keys and certificates of an authority of the test's own, made by `openssl`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// An authority (`ca.pem`), and the certificates that it gave to a server on this machine and to a client.
#[derive(Debug)]
pub struct Authority {
    directory: tempfile::TempDir,
}

impl Authority {
    /// Makes one that nobody trusts.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Authority {
        let authority = Authority { directory: tempfile::tempdir().expect("a directory") };
        authority.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority");
        std::fs::write(authority.path("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").expect("a file");
        for name in ["server", "client"] {
            authority.openssl(&format!("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
            authority.openssl(&format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {name}.pem"));
        }
        authority
    }

    fn openssl(&self, words: &str) {
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).current_dir(self.directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().is_ok_and(|status| status.success()), "openssl {words}: is it installed?");
    }

    /// What a Redis server is started with to speak TLS on this port, too.
    pub fn server_arguments(&self, port: u16) -> Vec<String> {
        let files =
            [("--tls-cert-file", "server.pem"), ("--tls-key-file", "server.key"), ("--tls-ca-cert-file", "ca.pem")];
        let files = files.map(|(option, name)| [option.to_owned(), self.path(name).display().to_string()]);
        ["--tls-port".to_owned(), port.to_string()].into_iter().chain(files.into_iter().flatten()).collect()
    }

    /// Where `ca.pem`, `server.key` and the like are.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What is in one of them.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a file of the authority")
    }
}
