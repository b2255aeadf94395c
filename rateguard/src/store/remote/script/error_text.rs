//! What the text of a server's error means, for every server and version.
//!
//! Redis 6.2 wraps errors that happen inside a script: `redis.pcall` gives `@user_script: 1: -READONLY You can't…`,
//! and a script that fails altogether `ERR Error running script (call to f_…): @user_script:1: @user_script: 1: -READONLY
//! You can't…`. Later servers, and Valkey, say `READONLY You can't…` in both places.

use crate::error::{StoreError, StoreErrorKind};

/// The error with this text.
pub(crate) fn named(text: &str) -> StoreError {
    let text = text.trim();
    let meant = unwrapped(text);
    match kind_of(first_word(meant)).or_else(|| kind_in(meant)) {
        Some(kind) => StoreError::new(kind, meant),
        // It may be an error of the script itself, for which the line number helps.
        None => StoreError::new(StoreErrorKind::Other, text),
    }
}

/// The first word of an error, such as `OOM`.
#[cfg(any(feature = "redis", test))]
pub(crate) fn code(text: &str) -> &str {
    first_word(unwrapped(text.trim()))
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// The text without what Redis 6.2 puts in front of it.
fn unwrapped(text: &str) -> &str {
    let mut rest = text;
    if let Some(running) = rest.strip_prefix("ERR Error running script (call to ") {
        rest = running.split_once("): ").map_or(rest, |(_, error)| error);
    }
    while let Some(after) = after_place(rest) {
        // As in the protocol, a dash comes before the first word.
        rest = after.strip_prefix('-').unwrap_or(after);
    }
    rest
}

/// The text after the place in the script, such as `@user_script: 12: `.
fn after_place(text: &str) -> Option<&str> {
    let line = ["@user_script:", "user_script:", "=[C]:"].iter().find_map(|source| text.strip_prefix(source))?;
    let (line, after) = line.split_once(": ")?;
    line.trim_start().parse::<i32>().is_ok().then_some(after)
}

/// Whether a node of a cluster rejected a command of a script, because another node has the key or is about to get it.
/// The command has not run.
pub(crate) fn is_not_local(text: &str) -> bool {
    text.contains("access a non local key in a cluster node")
}

/// What the first word of an error means.
fn kind_of(code: &str) -> Option<StoreErrorKind> {
    Some(match code {
        "WRONGTYPE" => StoreErrorKind::WrongType,
        "OOM" => StoreErrorKind::OutOfMemory,
        "NOAUTH" | "WRONGPASS" => StoreErrorKind::Authentication,
        "NOPERM" => StoreErrorKind::Forbidden,
        "READONLY" => StoreErrorKind::ReadOnly,
        "LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN" => StoreErrorKind::Busy,
        "MISCONF" | "NOREPLICAS" => StoreErrorKind::WritesDisabled,
        _ => return None,
    })
}

/// What an error means that has no such first word.
fn kind_in(text: &str) -> Option<StoreErrorKind> {
    let says = |words: &str| text.contains(words);
    // An access rule, inside a script: Redis 7.0 and older, then newer ones and Valkey.
    if says("can't run this command") || says("can't access") || says("ACL failure in script") {
        return Some(StoreErrorKind::Forbidden);
    }
    // Inside a script on a node of a cluster: Redis, and Valkey 9.
    if is_not_local(text) || says("slot not served") || says("while the cluster is down") {
        return Some(StoreErrorKind::Busy);
    }
    // Upstash, about its plans.
    if says("max daily request limit") || says("max requests limit") {
        return Some(StoreErrorKind::Throttled);
    }
    // Upstash, and Redis.
    if says("max concurrent connections") || says("max number of clients") {
        return Some(StoreErrorKind::TooManyClients);
    }
    says("capacity quota exceeded").then_some(StoreErrorKind::OutOfMemory)
}

#[cfg(test)]
mod tests;
