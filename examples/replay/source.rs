//! One log: its requests in the order of their times.

use std::io::Read;
use std::path::Path;

use indicatif::ProgressBar;

use crate::lines::{Lines, Next};
use crate::order::{Hit, Order};
use crate::reader::Reader;

pub(crate) struct Source {
    pub(crate) name: String,
    lines: Lines,
    order: Order,
    line: Vec<u8>,
    /// How many lines were read.
    pub(crate) number: u64,
    ended: bool,
}

impl Source {
    /// `reorder`: how far lines may be out of order, in microseconds.
    pub(crate) fn open(path: &Path, reorder: u64, stdin: Box<dyn Read>, bar: &ProgressBar) -> Result<Source, String> {
        let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        match Lines::open(path, stdin, bar) {
            Ok(lines) => {
                Ok(Source { name, lines, order: Order::new(reorder), line: Vec::new(), number: 0, ended: false })
            }
            Err(error) => Err(format!("cannot read {name}: {error}")),
        }
    }

    /// The next request. A line that cannot be counted is not an error; a file that cannot be read is.
    pub(crate) fn next(&mut self, reader: &mut Reader<'_>) -> Result<Option<Hit>, String> {
        loop {
            if let Some(hit) = self.order.pop(self.ended) {
                return Ok(Some(hit));
            }
            if self.ended {
                return Ok(None);
            }
            let next = self.lines.next(&mut self.line);
            match next.map_err(|error| format!("cannot read {} after line {}: {error}", self.name, self.number))? {
                Next::Line => {
                    self.number += 1;
                    if let Some(hit) = reader.read(&self.name, self.number, &self.line) {
                        self.order.push(hit);
                    }
                }
                Next::TooLong => {
                    self.number += 1;
                    reader.too_long(&self.name, self.number);
                }
                Next::End => self.ended = true,
            }
        }
    }
}
