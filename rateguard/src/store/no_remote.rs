//! Takes the place of [`remote`](super::remote) in a build without `redis` and `upstash`: the same interface, and no store.
//!
//! No value of `Endpoint`, `RemoteStore` or `Wait` can exist, so the limiter needs no `cfg` for code that never runs.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;

use super::{Forget, Verdicts};
use crate::algorithm::Receipt;
use crate::error::{ConfigError, StoreError};
use crate::quota::Quota;

#[derive(Clone)]
pub(crate) struct Endpoint(Infallible);

pub(crate) struct RemoteStore(Infallible);

pub(crate) struct Wait<T>(Infallible, PhantomData<T>);

pub(crate) struct Answer<T> {
    pub(crate) result: Result<T, StoreError>,
    pub(crate) waited: Duration,
}

pub(crate) struct RemoteCheck;

pub(crate) struct Group;

impl Endpoint {
    pub(crate) fn redis(_: &str, _: &str) -> Result<Endpoint, String> {
        Err("this build has no Redis support: enable the feature \"redis\" of rateguard".to_owned())
    }

    pub(crate) fn upstash((setting, _): (&str, &str), _: (&str, &str)) -> Result<Endpoint, ConfigError> {
        Err(ConfigError::unshown(
            setting,
            "this build has no Upstash support: enable the feature \"upstash\" of rateguard, or set REDIS_URL to the \
             database's rediss:// address",
        ))
    }
}

impl RemoteStore {
    pub(crate) fn new(Endpoint(never): Endpoint, _: Duration, _: &str) -> RemoteStore {
        match never {}
    }

    pub(crate) fn ask(&self, _: Group, _: Duration) -> Result<Wait<Verdicts>, StoreError> {
        match self.0 {}
    }

    pub(crate) fn ping(&self, _: Duration) -> Result<Wait<()>, StoreError> {
        match self.0 {}
    }

    #[expect(clippy::unused_async, reason = "there is something to wait for with a store on a server")]
    pub(crate) async fn close(&self) {
        match self.0 {}
    }

    pub(crate) fn is_cluster(&self) -> bool {
        match self.0 {}
    }
}

impl RemoteCheck {
    pub(crate) fn new(_: String, _: Quota, _: u32) -> RemoteCheck {
        RemoteCheck
    }

    pub(crate) fn shadow(self, _: bool) -> RemoteCheck {
        self
    }

    pub(crate) fn compact(self, _: bool) -> RemoteCheck {
        self
    }

    pub(crate) fn forgetting(self, _: Forget) -> RemoteCheck {
        self
    }
}

impl Group {
    pub(crate) fn check(_: SmallVec<[RemoteCheck; 1]>) -> Group {
        Group
    }

    pub(crate) fn peek(_: RemoteCheck) -> Group {
        Group
    }

    pub(crate) fn refund(_: RemoteCheck, _: Option<Receipt>) -> Group {
        Group
    }

    pub(crate) fn reset(_: RemoteCheck) -> Group {
        Group
    }
}

impl<T> Future for Wait<T> {
    type Output = Answer<T>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answer<T>> {
        match self.0 {}
    }
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}
