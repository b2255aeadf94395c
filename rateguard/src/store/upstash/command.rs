//! Commands as JSON.

use std::io::Write;

use axum::body::Bytes;

use crate::store::script::arguments::{self, Arguments};
use crate::store::script::{Group, SCRIPT};

/// A command: an array of strings. A number is a string as well, since JSON's numbers may pass through a double on the
/// other side.
struct Command(Vec<u8>);

impl Command {
    fn finish(mut self) -> Bytes {
        // Each word came with a comma behind it.
        self.0.pop();
        self.0.push(b']');
        self.0.into()
    }
}

impl Arguments for Command {
    fn text(&mut self, text: &str) {
        // Into memory, so that it cannot fail.
        let _ = serde_json::to_writer(&mut self.0, text);
        self.0.push(b',');
    }

    fn number(&mut self, number: u64) {
        let _ = write!(self.0, "\"{number}\",");
    }
}

/// A command of these words.
pub(super) fn of(words: &[&str]) -> Bytes {
    let mut command = Command(vec![b'[']);
    for word in words {
        command.text(word);
    }
    command.finish()
}

/// A call of the script by its hash, or with its text.
pub(super) fn call(sha: Option<&str>, groups: &[&Group]) -> Bytes {
    let mut command = Command(vec![b'[']);
    command.text(if sha.is_some() { "EVALSHA" } else { "EVAL" });
    command.text(sha.unwrap_or(SCRIPT));
    arguments::write(&mut command, groups);
    command.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_a_json_string() {
        assert_eq!(of(&["PING"]), r#"["PING"]"#);
        assert_eq!(of(&["GET", "a\"b\\c\n\u{1}é"]), r#"["GET","a\"b\\c\n\u0001é"]"#);
        let call = call(Some("abc"), &[&Group::probe("x", "probe")]);
        let call: Vec<String> = serde_json::from_slice(&call).unwrap();
        assert_eq!(call[..4], ["EVALSHA", "abc", "1", "x:{probe}:rateguard:sw"]);
    }
}
