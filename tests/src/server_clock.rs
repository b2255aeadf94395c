//! A clock that the test moves.

use std::process::Command;

/// The wall clock of a server that was started with one, in microseconds since 1970.
#[derive(Debug)]
pub struct ServerClock {
    file: std::fs::File,
    path: std::path::PathBuf,
    shim: std::path::PathBuf,
}

impl ServerClock {
    pub(crate) fn new(directory: &std::path::Path) -> ServerClock {
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

    /// Has the server read it.
    pub(crate) fn show_to(&self, server: &mut Command) {
        server.env("LD_PRELOAD", &self.shim).env("RATEGUARD_TEST_CLOCK", &self.path);
    }

    /// Moves the server to this time.
    pub fn set(&self, micros: u64) {
        use std::os::unix::fs::FileExt;
        self.file.write_all_at(&micros.to_ne_bytes(), 0).expect("the clock is written");
    }
}
