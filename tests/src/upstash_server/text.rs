//! Commands and answers as text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use redis::{RedisError, Value};

use super::Command;

/// A JSON array as a command. Numbers and the like are their text.
pub(super) fn command(json: serde_json::Value) -> Option<Command> {
    let serde_json::Value::Array(words) = json else { return None };
    let word = |word| match word {
        serde_json::Value::String(text) => text.into_bytes(),
        other => other.to_string().into_bytes(),
    };
    (!words.is_empty()).then(|| words.into_iter().map(word).collect())
}

pub(super) fn commands(body: &[u8]) -> Option<Vec<Command>> {
    serde_json::from_slice::<Vec<serde_json::Value>>(body).ok()?.into_iter().map(command).collect()
}

/// A part of a path, percent-decoded.
pub(super) fn decoded(part: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
            let digits = std::str::from_utf8(&digits).unwrap_or_default();
            bytes.push(u8::from_str_radix(digits, 16).unwrap_or(b'%'));
        } else {
            bytes.push(byte);
        }
    }
    bytes
}

/// Numbers, null and `OK` stand for themselves; every other text is encoded, if that is asked for.
pub(super) fn json_of(value: Value, encoded: bool) -> serde_json::Value {
    let text = |bytes: &[u8]| -> serde_json::Value {
        if encoded { BASE64_STANDARD.encode(bytes).into() } else { String::from_utf8_lossy(bytes).into() }
    };
    match value {
        Value::Int(number) => number.into(),
        Value::Okay => "OK".into(),
        Value::BulkString(bytes) => text(&bytes),
        Value::SimpleString(words) => text(words.as_bytes()),
        Value::Array(values) => values.into_iter().map(|value| json_of(value, encoded)).collect(),
        _ => serde_json::Value::Null,
    }
}

/// An error in the words of Redis.
pub(super) fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (None, Some(detail)) => format!("ERR {detail}"),
        _ => format!("ERR {error}"),
    }
}
