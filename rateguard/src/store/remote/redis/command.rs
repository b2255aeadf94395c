//! The scripts, as commands of Redis' own protocol.

use redis::{Cmd, RedisError};

use crate::store::remote::script::Call;
use crate::store::remote::script::call::Names;
use crate::store::remote::script::encode::Arguments;

/// A call of a script by its name.
pub(super) fn by_name(names: &Names, call: &Call<'_>) -> Cmd {
    command("EVALSHA", names.get(call.script()), call)
}

/// A call that brings the script's text along, for a server that has not seen it.
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

/// Whether the server has not seen the script yet, and so has not run it.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}
