//! Calls of the scripts as commands of Redis' protocol, and their replies.

use redis::{Cmd, RedisError, Value};

use crate::error::StoreError;
use crate::store::remote::script::{Arguments, Call, GroupAnswer, Part, ScriptNames, malformed};

/// A call of a script by its name.
pub(super) fn by_name(names: &ScriptNames, call: &Call<'_>) -> Cmd {
    command("EVALSHA", names.get(call.script()), call)
}

/// A call that contains the script's text, for a server that does not have it yet.
pub(super) fn by_text(call: &Call<'_>) -> Cmd {
    command("EVAL", call.script().text(), call)
}

fn command(command: &str, script: &str, call: &Call<'_>) -> Cmd {
    let mut cmd = redis::cmd(command);
    cmd.arg(script);
    call.write(&mut cmd);
    cmd
}

impl Arguments for Cmd {
    fn text(&mut self, text: &str) {
        self.arg(text);
    }

    fn number(&mut self, number: u64) {
        self.arg(number);
    }
}

/// Whether the server does not have the script, and so has not run it.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// The answers to each group, or an error if the reply is not one of the script's.
pub(super) fn read(reply: Value, call: &Call<'_>) -> Result<Vec<GroupAnswer>, StoreError> {
    let Value::Array(values) = reply else { return Err(malformed()) };
    let part = |value| match value {
        Value::Int(number) => Part::Number(number),
        Value::BulkString(text) => Part::Text(String::from_utf8_lossy(&text).into_owned()),
        Value::SimpleString(text) => Part::Text(text),
        _ => Part::Other,
    };
    call.read(values.into_iter().map(part))
}
