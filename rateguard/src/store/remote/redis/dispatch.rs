//! Which server gets a job, as the connection of one server sees it.

use redis::RedisError;

use crate::store::remote::job::Job;

/// What to probe a node with: the texts between the braces of keys that do not exist.
pub(crate) struct ProbeTags {
    /// Of two slots of the node.
    pub(super) own: [String; 2],
    /// Of a slot of another node.
    pub(super) foreign: String,
}

/// What a connection has to know of other servers that share its data.
pub(crate) trait Dispatch: Clone + Send + Sync + 'static {
    /// The server cannot be reached.
    fn lost(&self);

    /// Whether the server says by this error that it has not run the script, and another server would.
    fn is_redirect(&self, error: &RedisError) -> bool;

    /// Sends the jobs of one call to where this redirect points.
    fn redirect(&self, jobs: Vec<Job>, error: &RedisError);

    /// The text between the braces of the probe's key.
    fn probe_tag(&self) -> String;

    /// Changes whenever other servers get other keys.
    fn topology(&self) -> u64;

    /// What to find out with whether the server decides keys of several slots in one call; `None` if there is no reason to.
    fn probe_tags(&self) -> Option<ProbeTags>;
}

/// For a server that has all keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single;

impl Dispatch for Single {
    fn lost(&self) {}

    fn is_redirect(&self, _: &RedisError) -> bool {
        false
    }

    fn redirect(&self, _: Vec<Job>, _: &RedisError) {}

    fn probe_tag(&self) -> String {
        "probe".to_owned()
    }

    fn topology(&self) -> u64 {
        0
    }

    /// Keys of one server have no slots.
    fn probe_tags(&self) -> Option<ProbeTags> {
        None
    }
}
