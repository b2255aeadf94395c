//! The stores that servers share.

use std::fmt;

use super::Verdicts;
#[cfg(feature = "redis")]
use super::redis::RedisStore;
use super::script::{Answer, Group};
#[cfg(feature = "upstash")]
use super::upstash::UpstashStore;
use crate::error::StoreError;

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
    /// Asks for something to be done. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group) -> Result<Answer<Verdicts>, StoreError> {
        match self {
            #[cfg(feature = "redis")]
            SharedStore::Redis(store) => store.ask(group),
            #[cfg(feature = "upstash")]
            SharedStore::Upstash(store) => store.ask(group),
        }
    }

    /// Asks whether the server answers.
    pub(crate) fn ping(&self) -> Result<Answer<()>, StoreError> {
        match self {
            #[cfg(feature = "redis")]
            SharedStore::Redis(store) => store.ping(),
            #[cfg(feature = "upstash")]
            SharedStore::Upstash(store) => store.ping(),
        }
    }
}
