//! One line of a log: what a limit needs of it.

mod common;
mod json;

use std::borrow::Cow;

use crate::arguments::{Arguments, By};
use crate::time::Moment;
use json::Names;

/// Why a line is not counted, for its reader.
pub(crate) type Problem = Cow<'static, str>;

/// A request, as its line tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'l> {
    pub(crate) time: Moment,
    pub(crate) address: Option<Cow<'l, str>>,
    /// The user, or the field that is counted.
    pub(crate) value: Option<Cow<'l, str>>,
    /// Only if they are asked for.
    pub(crate) method: Option<Cow<'l, str>>,
    pub(crate) path: Option<Cow<'l, str>>,
}

/// Reads lines of all formats.
#[derive(Debug)]
pub(crate) struct Format {
    by: By,
    names: Names,
}

impl Format {
    pub(crate) fn new(arguments: &Arguments) -> Format {
        Format { by: arguments.by.clone(), names: Names::new(arguments) }
    }

    /// A line that begins with `{` is JSON; any other is common or combined.
    pub(crate) fn read<'l>(&self, line: &'l str) -> Result<Line<'l>, Problem> {
        if line.starts_with('{') { json::read(line, &self.names) } else { common::read(line, &self.by) }
    }
}

/// Logs write `-` for what is not there.
fn present<'l>(text: impl Into<Cow<'l, str>>) -> Option<Cow<'l, str>> {
    let text = text.into();
    (!matches!(&*text, "" | "-")).then_some(text)
}

/// The method and the path of `GET /search?q=axum HTTP/1.1`. The path may have spaces, the protocol may be missing.
fn request(text: &str) -> (Option<&str>, Option<&str>) {
    match text.split_once(' ') {
        Some((method, rest)) => match rest.rsplit_once(' ') {
            Some((path, protocol)) if protocol.starts_with("HTTP/") => (Some(method), Some(path)),
            _ => (Some(method), Some(rest)),
        },
        None => (None, None),
    }
}
