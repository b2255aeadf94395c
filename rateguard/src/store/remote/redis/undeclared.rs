//! Whether a server decides keys of several slots in one call.
//!
//! A call declares its keys, and they have to be in one slot. But a script may also use keys that are not declared. A node of
//! a cluster then checks every command of the script by itself, and rejects those for keys that it does not have, so one call
//! can carry the checks of all its slots. This is used only once it is proven: a proxy may accept every key and count it in
//! the wrong place, and some servers reject keys that are not declared.

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;

use super::dispatch::{Dispatch, ProbeTags};
use crate::store::remote::script::error_text::is_not_local;

/// Reads each key, and returns the errors.
const PROBE: &str = "local errors = {} \
                     for i, key in ipairs(ARGV) do \
                     local answer = redis.pcall('GET', key) \
                     errors[i] = type(answer) == 'table' and answer.err or '' \
                     end \
                     return errors";
/// After a probe that proved nothing, there is another after this long. A slot that was moving may have arrived.
const AGAIN: Duration = Duration::from_secs(10);

/// What is known of one connection.
#[derive(Default)]
pub(super) struct Undeclared {
    is_proven: bool,
    /// The topology for which that is known.
    topology: Option<u64>,
    asked: Option<Instant>,
    probe: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
}

impl Undeclared {
    /// Whether calls may have keys of several slots.
    pub(super) fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Starts a probe if there is a reason to: the connection is new, the topology has changed, or the last probe was long ago
    /// and proved nothing.
    pub(super) fn refresh(&mut self, dispatch: &impl Dispatch, connection: &MultiplexedConnection, prefix: &str) {
        let topology = dispatch.topology();
        let is_known = self.topology == Some(topology);
        if is_known && (self.is_proven || self.probe.is_some() || self.asked.is_none_or(|at| at.elapsed() < AGAIN)) {
            return;
        }
        *self = Undeclared { topology: Some(topology), ..Undeclared::default() };
        if let Some(tags) = dispatch.probe_tags() {
            self.asked = Some(Instant::now());
            self.probe = Some(Box::pin(is_proof(connection.clone(), prefix.to_owned(), tags)));
        }
    }

    /// Waits for the probe that is under way; for ever if there is none.
    pub(super) async fn answered(&mut self) {
        match &mut self.probe {
            Some(probe) => self.is_proven = probe.await,
            None => pending().await,
        }
        self.probe = None;
    }
}

/// Whether the server accepts the node's own keys, and rejects a key of another node in the words of a node.
async fn is_proof(mut connection: MultiplexedConnection, prefix: String, tags: ProbeTags) -> bool {
    let [one, other] = &tags.own;
    let mut probe = redis::cmd("EVAL");
    probe.arg(PROBE).arg(0);
    for tag in [one, other, &tags.foreign] {
        probe.arg(format!("{prefix}:{{{tag}}}:rateguard"));
    }
    let errors = probe.query_async::<Vec<String>>(&mut connection).await.unwrap_or_default();
    matches!(errors.as_slice(), [one, other, foreign] if one.is_empty() && other.is_empty() && is_not_local(foreign))
}
