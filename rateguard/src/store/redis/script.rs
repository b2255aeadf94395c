//! The script, as commands of Redis' own protocol.

use redis::{Cmd, RedisError};

use crate::store::script::arguments::{self, Arguments};
use crate::store::script::{Group, SCRIPT};

/// A call of the script by its hash, or with its text.
pub(super) fn call(sha: Option<&str>, groups: &[&Group]) -> Cmd {
    let mut cmd = redis::cmd(if sha.is_some() { "EVALSHA" } else { "EVAL" });
    cmd.arg(sha.unwrap_or(SCRIPT));
    arguments::write(&mut cmd, groups);
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

/// Whether the server has not seen the script yet, and so has not run it.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}
