//! The stores that servers share.

mod backlog;
mod backoff;
mod job;
mod outage;
mod queue;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod script;
mod stopwatch;
#[cfg(feature = "upstash")]
pub(crate) mod upstash;
pub(crate) mod wait;
mod worker;

use std::fmt;
use std::time::Duration;

use crate::error::StoreError;
use crate::store::Verdicts;
#[cfg(feature = "redis")]
use redis::RedisStore;
use script::Group;
#[cfg(feature = "upstash")]
use upstash::UpstashStore;
use wait::Wait;

/// A store that is asked, and answers later or not at all.
pub(crate) enum SharedStore {
    #[cfg(feature = "redis")]
    Redis(RedisStore),
    #[cfg(feature = "upstash")]
    Upstash(UpstashStore),
}

/// Shows the address, and the state.
impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "redis")]
            SharedStore::Redis(store) => store.fmt(f),
            #[cfg(feature = "upstash")]
            SharedStore::Upstash(store) => store.fmt(f),
        }
    }
}

impl SharedStore {
    /// Asks for something to be done, and waits for so long. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group, left: Duration) -> Result<Wait<Verdicts>, StoreError> {
        match self {
            #[cfg(feature = "redis")]
            SharedStore::Redis(store) => store.ask(group, left),
            #[cfg(feature = "upstash")]
            SharedStore::Upstash(store) => store.ask(group, left),
        }
    }

    /// Whether the limits of one request may be on several servers, so that some are charged and given back.
    #[cfg(feature = "redis")]
    pub(crate) fn is_apart(&self) -> bool {
        match self {
            SharedStore::Redis(store) => store.is_cluster(),
            #[cfg(feature = "upstash")]
            SharedStore::Upstash(_) => false,
        }
    }

    /// Asks whether the server answers.
    pub(crate) fn ping(&self, left: Duration) -> Result<Wait<()>, StoreError> {
        match self {
            #[cfg(feature = "redis")]
            SharedStore::Redis(store) => store.ping(left),
            #[cfg(feature = "upstash")]
            SharedStore::Upstash(store) => store.ping(left),
        }
    }
}
