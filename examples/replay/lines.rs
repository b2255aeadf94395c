//! The lines of a log, one after the other, from a file or the standard input, plain or gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;

/// A longer line is a bad line, so that no file can fill the memory.
pub(crate) const LONGEST: usize = 1 << 20;
const BUFFER: usize = 1 << 18;

pub(crate) struct Lines(Box<dyn BufRead>);

/// The line that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Line,
    TooLong,
    End,
}

impl Lines {
    /// Opens a file. The bar moves on with every byte that is read.
    pub(crate) fn open(path: &Path, stdin: Box<dyn Read>, bar: &ProgressBar) -> io::Result<Lines> {
        if path == Path::new("-") {
            return Lines::new(bar.wrap_read(stdin));
        }
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::other("it is a folder: name the files in it"));
        }
        Lines::new(bar.wrap_read(file))
    }

    fn new(mut input: impl Read + 'static) -> io::Result<Lines> {
        let mut magic = Vec::new();
        input.by_ref().take(2).read_to_end(&mut magic)?;
        let gzip = magic == [0x1f, 0x8b];
        let whole = BufReader::with_capacity(BUFFER, Cursor::new(magic).chain(input));
        Ok(Lines(if gzip {
            // A log that is rotated by appending has several members.
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole)))
        } else {
            Box::new(whole)
        }))
    }

    /// Reads the next line into `line`, without its end.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Next> {
        line.clear();
        let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX) + 1;
        if (&mut self.0).take(limit).read_until(b'\n', line)? == 0 {
            return Ok(Next::End);
        }
        if line.pop_if(|last| *last == b'\n').is_some() {
            line.pop_if(|last| *last == b'\r');
        } else if line.len() > LONGEST {
            self.0.skip_until(b'\n')?;
            return Ok(Next::TooLong);
        }
        Ok(Next::Line)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines(bytes: Vec<u8>) -> Vec<String> {
        let mut lines = Lines::new(Cursor::new(bytes)).unwrap();
        let (mut line, mut read) = (Vec::new(), Vec::new());
        loop {
            match lines.next(&mut line).unwrap() {
                Next::Line => read.push(String::from_utf8(line.clone()).unwrap()),
                Next::TooLong => read.push("too long".to_owned()),
                Next::End => return read,
            }
        }
    }

    #[test]
    fn lines_end_with_either_end_or_with_the_file() {
        assert_eq!(lines(b"one\ntwo\r\n\nlast".to_vec()), ["one", "two", "", "last"]);
        assert_eq!(lines(b"\n".to_vec()), [""]);
        assert_eq!(lines(b"1".to_vec()), ["1"]);
        assert!(lines(Vec::new()).is_empty());
    }

    #[test]
    fn gzip_is_recognized_also_in_several_members() {
        let mut file = Vec::new();
        for text in ["one\ntw", "o\n"] {
            let mut encoder = GzEncoder::new(&mut file, Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap();
        }
        assert_eq!(lines(file), ["one", "two"]);
    }

    #[test]
    fn an_endless_line_is_skipped() {
        let mut file = vec![b'x'; LONGEST];
        file.extend(b"\n");
        file.extend(vec![b'y'; LONGEST + 1]);
        file.extend(b"\nafter");
        let read = lines(file);
        assert_eq!((read[0].len(), &read[1..]), (LONGEST, &["too long".to_owned(), "after".to_owned()][..]));
    }
}
