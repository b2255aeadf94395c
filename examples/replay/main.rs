//! What would this limit have done to yesterday's traffic? Reads access logs, asks the limiter about every request at the
//! time that the log says, and shows who would have been denied.
//!
//! ```text
//! cargo run --release --example replay -- access.log --quota 100/1m
//! cargo run --release --example replay -- /var/log/nginx/access.log* --quota 100/1m --quota token_bucket:20/1s:burst=60
//! cargo run --release --example replay -- --help
//! cargo test -p rateguard-replay --example replay       # the tests
//! ```

mod arguments;
mod chart;
mod clients;
mod line;
mod lines;
mod merge;
mod order;
mod page;
mod reader;
mod replay;
mod report;
mod source;
mod table;
mod tally;
mod text;
mod time;
mod timeline;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;

/// The report was made.
const DONE: u8 = 0;
/// A log cannot be read or has no usable line, or a file cannot be written.
const FAILED: u8 = 1;
/// The arguments are wrong.
const WRONG_ARGUMENTS: u8 = 2;

fn main() -> ExitCode {
    run(std::env::args_os(), Box::new(io::stdin()), &mut io::stdout().lock(), &mut io::stderr()).into()
}

/// Runs the program, and returns its exit code.
fn run(
    arguments: impl IntoIterator<Item = OsString>,
    stdin: Box<dyn Read>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments).and_then(Arguments::checked) {
        Ok(arguments) => arguments,
        // Also what `--help` prints.
        Err(error) if error.use_stderr() => {
            let _ = write!(err, "{error}");
            return WRONG_ARGUMENTS;
        }
        Err(help) => {
            let _ = write!(out, "{help}");
            return DONE;
        }
    };
    match replay_and_show(&arguments, stdin, out) {
        Ok(()) => DONE,
        Err(error) => {
            let _ = writeln!(err, "error: {error}");
            FAILED
        }
    }
}

fn replay_and_show(arguments: &Arguments, stdin: Box<dyn Read>, out: &mut impl Write) -> Result<(), String> {
    let report = replay::replay(arguments, stdin)?;
    let mut shown = Vec::new();
    table::write(&mut shown, &report, arguments.top).map_err(|error| error.to_string())?;
    match out.write_all(&shown).and_then(|()| out.flush()) {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.to_string()),
        _ => {}
    }
    if report.requests == 0 {
        return Err("no request was read, so there is nothing to say about a limit".to_owned());
    }
    if let Some(path) = &arguments.chart {
        let chart = if arguments::is_page(path) { page::page(&report) } else { chart::chart(&report) };
        std::fs::write(path, chart).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}
