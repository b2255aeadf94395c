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
    const CAN_BE_PACKED: bool = true;

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
    let values = match reply {
        Value::Array(values) => values,
        Value::BulkString(packed) => return call.read(numbers(&packed)?),
        _ => return Err(malformed()),
    };
    let part = |value| match value {
        Value::Int(number) => Part::Number(number),
        Value::BulkString(text) => Part::Text(String::from_utf8_lossy(&text).into_owned()),
        Value::SimpleString(text) => Part::Text(text),
        _ => Part::Other,
    };
    call.read(values.into_iter().map(part))
}

/// The integers of a packed reply.
fn numbers(packed: &[u8]) -> Result<impl Iterator<Item = Part>, StoreError> {
    match packed.as_chunks() {
        (numbers, []) => Ok(numbers.iter().map(|number| Part::Number(i64::from_be_bytes(*number)))),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Quota;
    use crate::store::remote::script::{Group, RemoteCheck};
    use std::time::Duration;

    fn read_one(reply: Value) -> Result<Vec<GroupAnswer>, StoreError> {
        let quota = Quota::sliding_window(3, Duration::from_secs(60));
        let group = Group::check([RemoteCheck::new("key".to_owned(), quota, 1)].into_iter().collect());
        read(reply, &Call::new(&[&group]))
    }

    #[test]
    fn a_packed_reply_says_the_same_as_a_list() {
        const REPLY: [i64; 5] = [1_800_000_000_000_000, 1, 3, 0, -1];
        let told = |reply| {
            let verdict = read_one(reply).unwrap().remove(0).unwrap().unwrap()[0];
            (verdict.allowed, verdict.remaining, verdict.reset_after, verdict.retry_after)
        };
        let packed = REPLY.iter().flat_map(|number| number.to_be_bytes()).collect();
        let list = REPLY.iter().map(|number| Value::Int(*number)).collect();
        assert_eq!(told(Value::BulkString(packed)), (true, 2, 60_000_000, None));
        assert_eq!(told(Value::Array(list)), (true, 2, 60_000_000, None));
    }

    #[test]
    fn a_packed_reply_that_is_cut_or_too_long_is_an_error() {
        for bytes in [0, 7, 8, 39, 41, 48] {
            assert!(read_one(Value::BulkString(vec![0; bytes])).is_err(), "{bytes}");
        }
    }
}
