//! What a server means by the text of an error, whichever server and version it is.
//!
//! Redis 6.2 wraps an error that happened inside a script: `redis.pcall` gives `@user_script: 1: -READONLY You can't…`,
//! and a script that fails altogether `ERR Error running script (call to f_…): @user_script:1: @user_script: 1: -READONLY
//! You can't…`. Later servers, and Valkey, say `READONLY You can't…` in both places.

use crate::error::{StoreError, StoreErrorKind};

/// The error that this text is.
pub(crate) fn named(text: &str) -> StoreError {
    let text = text.trim();
    let meant = unwrapped(text);
    match kind_of(first_word(meant)).or_else(|| kind_in(meant)) {
        Some(kind) => StoreError::new(kind, meant),
        // An error of the script itself: then the line helps.
        None => StoreError::new(StoreErrorKind::Other, text),
    }
}

/// The word that an error begins with, such as `OOM`.
#[cfg(any(feature = "redis", test))]
pub(crate) fn code(text: &str) -> &str {
    first_word(unwrapped(text.trim()))
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// The text without what Redis 6.2 puts before it.
fn unwrapped(text: &str) -> &str {
    let mut rest = text;
    if let Some(running) = rest.strip_prefix("ERR Error running script (call to ") {
        rest = running.split_once("): ").map_or(rest, |(_, error)| error);
    }
    while let Some(after) = after_place(rest) {
        // A dash stands here before the word, as in the protocol.
        rest = after.strip_prefix('-').unwrap_or(after);
    }
    rest
}

/// What follows the place in a script where something happened, such as `@user_script: 12: `.
fn after_place(text: &str) -> Option<&str> {
    let line = ["@user_script:", "user_script:", "=[C]:"].iter().find_map(|source| text.strip_prefix(source))?;
    let (line, after) = line.split_once(": ")?;
    line.trim_start().parse::<i32>().is_ok().then_some(after)
}

/// What the word that an error begins with stands for.
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

/// What an error without a word of its own says.
fn kind_in(text: &str) -> Option<StoreErrorKind> {
    let says = |words: &str| text.contains(words);
    // An access rule, inside a script: in Redis 7.0 and before, and in those after and Valkey.
    if says("can't run this command") || says("can't access") || says("ACL failure in script") {
        return Some(StoreErrorKind::Forbidden);
    }
    // Inside a script that a cluster's node runs, by Redis and by Valkey 9.
    if says("access a non local key in a cluster node") || says("slot not served") || says("while the cluster is down")
    {
        return Some(StoreErrorKind::Busy);
    }
    // Upstash, of its plans.
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
