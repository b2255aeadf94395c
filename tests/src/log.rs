//! What is logged while a test runs.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level};

/// What was logged so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What is logged from this level on by this thread, on which the test's runtime runs everything, until the guard is
    /// dropped.
    pub fn capture(level: Level) -> (Log, DefaultGuard) {
        // With a single dispatcher in the process, tracing asks only the thread that meets an event's code first whether
        // anybody listens. With several, it asks all of them.
        static OTHERS: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Dispatch::new(silent())));
        LazyLock::force(&OTHERS);
        let log = Log::default();
        let subscriber = log.subscriber(level);
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// What is logged from this level on by all threads of this program, which nothing else may have asked for.
    pub fn capture_all(level: Level) -> Log {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.subscriber(level)).expect("the first to listen");
        log
    }

    fn subscriber(&self, level: Level) -> impl tracing::Subscriber + Send + Sync + use<> {
        let writer = self.clone();
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(move || writer.clone()).finish()
    }

    /// All of it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The lines that have this in them.
    pub fn lines_with(&self, part: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

/// Registered, but interested in nothing.
fn silent() -> impl tracing::Subscriber + Send + Sync {
    tracing_subscriber::fmt().with_max_level(LevelFilter::OFF).finish()
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
