//! Commands as JSON.

use std::io::Write;

use hyper::body::Bytes;

use crate::store::remote::script::{Arguments, Call};

/// A command: an array of strings. Numbers are strings as well, because the service may read JSON numbers as doubles.
struct Command(Vec<u8>);

impl Command {
    fn finish(mut self) -> Bytes {
        // A comma follows every word.
        self.0.pop();
        self.0.push(b']');
        self.0.into()
    }
}

impl Arguments for Command {
    const CAN_BE_PACKED: bool = false;

    fn text(&mut self, text: &str) {
        // Writing to memory cannot fail.
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

/// A call of a script by its name.
pub(super) fn by_name(name: &str, call: &Call<'_>) -> Bytes {
    evaluate("EVALSHA", name, call)
}

/// A call that contains the script's text, for a service that does not have it yet.
pub(super) fn by_text(call: &Call<'_>) -> Bytes {
    evaluate("EVAL", call.script().text(), call)
}

fn evaluate(command: &str, script: &str, call: &Call<'_>) -> Bytes {
    let mut command_line = Command(vec![b'[']);
    command_line.text(command);
    command_line.text(script);
    call.write(&mut command_line);
    command_line.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::remote::script::Group;

    #[test]
    fn every_word_is_a_json_string() {
        assert_eq!(of(&["PING"]), r#"["PING"]"#);
        assert_eq!(of(&["GET", "a\"b\\c\n\u{1}é"]), r#"["GET","a\"b\\c\n\u0001é"]"#);
        let probe = Group::probe("x", "probe");
        let call = by_name("abc", &Call::new(&[&probe]));
        let call: Vec<String> = serde_json::from_slice(&call).unwrap();
        assert_eq!(call[..4], ["EVALSHA", "abc", "1", "x:{probe}:rateguard:sw2"]);
    }
}
