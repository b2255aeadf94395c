//! The stores that servers share.

use std::sync::Arc;
use std::time::Duration;

use super::Verdicts;
#[cfg(feature = "redis")]
use super::redis::RedisStore;
use super::script::Group;
#[cfg(feature = "upstash")]
use super::upstash::UpstashStore;
use super::wait::{Backstop, Wait};
use crate::error::StoreError;

/// A store that is asked, and answers later or not at all.
#[derive(Debug)]
pub(crate) struct SharedStore {
    service: Service,
    backstop: Arc<Backstop>,
}

#[derive(Debug)]
enum Service {
    #[cfg(feature = "redis")]
    Redis(RedisStore),
    #[cfg(feature = "upstash")]
    Upstash(UpstashStore),
}

impl SharedStore {
    /// Requests wait for it until the deadline.
    #[cfg(feature = "redis")]
    pub(crate) fn redis(store: RedisStore, deadline: Duration) -> SharedStore {
        SharedStore { service: Service::Redis(store), backstop: Backstop::new(deadline) }
    }

    /// The same.
    #[cfg(feature = "upstash")]
    pub(crate) fn upstash(store: UpstashStore, deadline: Duration) -> SharedStore {
        SharedStore { service: Service::Upstash(store), backstop: Backstop::new(deadline) }
    }

    /// Asks for something to be done, and waits for so long. An error if it is known that no answer would come.
    pub(crate) fn ask(&self, group: Group, left: Duration) -> Result<Wait<Verdicts>, StoreError> {
        let answer = match &self.service {
            #[cfg(feature = "redis")]
            Service::Redis(store) => store.ask(group, left),
            #[cfg(feature = "upstash")]
            Service::Upstash(store) => store.ask(group, left),
        };
        Ok(Wait::new(answer?, &self.backstop))
    }

    /// Asks whether the server answers.
    pub(crate) fn ping(&self, left: Duration) -> Result<Wait<()>, StoreError> {
        let answer = match &self.service {
            #[cfg(feature = "redis")]
            Service::Redis(store) => store.ping(left),
            #[cfg(feature = "upstash")]
            Service::Upstash(store) => store.ping(left),
        };
        Ok(Wait::new(answer?, &self.backstop))
    }
}
