//! How far a measurement is, and how much time is left, on stderr.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shows what is being measured: on a terminal as one line, which is rewritten, and otherwise as a line for each step.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    /// The expected seconds of all steps, and of those that are done. They only weigh the steps: the time left comes from
    /// the time that has passed.
    all: f64,
    done: f64,
    terminal: bool,
}

impl Progress {
    /// Starts the clock for steps that take about this many seconds together.
    pub fn start(seconds: f64) -> Progress {
        Progress { began: Instant::now(), all: seconds, done: 0.0, terminal: std::io::stderr().is_terminal() }
    }

    /// Shows the step that begins.
    pub fn begins(&self, what: &str) {
        let left = left(self.began.elapsed(), self.done, self.all);
        let line = format!("{:>3.0} %, {} left: {what}", 100.0 * self.done / self.all.max(self.done), words(left));
        let mut out = std::io::stderr().lock();
        // On a terminal, a long line is cut off, since one that is wrapped could not be rewritten. Progress that cannot be
        // shown is no reason to stop.
        let _ = if self.terminal { write!(out, "\r\x1b[2K\x1b[?7l{line}\x1b[?7h") } else { writeln!(out, "{line}") };
        let _ = out.flush();
    }

    /// A step is done that was expected to take this long.
    pub fn ends(&mut self, seconds: f64) {
        self.done += seconds;
    }

    /// Makes room for other output.
    pub fn clears(&self) {
        if self.terminal {
            eprint!("\r\x1b[2K");
        }
    }
}

/// The time left, if the rest takes as long as what is done, by weight.
fn left(passed: Duration, done: f64, all: f64) -> Duration {
    let rest = (all - done).max(0.0);
    let seconds = if done > 0.0 { passed.as_secs_f64() * rest / done } else { rest };
    Duration::from_secs_f64(seconds)
}

fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..90 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_first_step_ends_the_time_left_is_the_expected_time() {
        assert_eq!(left(Duration::from_secs(3), 0.0, 60.0), Duration::from_secs(60));
    }

    #[test]
    fn the_time_left_comes_from_the_time_that_has_passed() {
        assert_eq!(left(Duration::from_secs(30), 10.0, 40.0), Duration::from_secs(90));
        assert_eq!(left(Duration::from_secs(50), 45.0, 40.0), Duration::ZERO);
    }

    #[test]
    fn a_long_time_is_told_in_minutes() {
        assert_eq!(words(Duration::from_secs(89)), "89 s");
        assert_eq!(words(Duration::from_secs(90)), "2 min");
        assert_eq!(words(Duration::from_secs(600)), "10 min");
    }
}
