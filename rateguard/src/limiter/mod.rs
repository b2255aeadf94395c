//! The limiter without HTTP: it asks the store about a policy and a key, within a deadline, and makes a decision of the
//! answer.
//!
//! The way of a check: [`overrides`] says which quota applies. [`group`] merges checks that share a count. [`check`] asks the
//! store, or answers from the [`deny_cache`]. [`pending`] waits for a remote store, and answers if the store does not.
//! [`report`] updates the metrics and the log.

mod check;
mod deny_cache;
mod group;
mod overrides;
mod pending;
mod policy_info;
mod report;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use check::Checking;
pub(crate) use pending::{Later, Settled};
pub use policy_info::PolicyInfo;

use crate::algorithm::Receipt;
use crate::clock::TimeSource;
use crate::decision::{Check, Decision};
use crate::error::StoreError;
use crate::key::Key;
use crate::key::encode::KeyWriter;
use crate::key::prefix::Prefixes;
use crate::policy::{OnError, Policy};
use crate::quota::Quota;
use crate::store::memory::MemoryStore;
use crate::store::remote::{Group, RemoteStore};
use crate::telemetry::{self, log};
use deny_cache::DenyCache;
use overrides::Overrides;
use report::Reports;
use smallvec::SmallVec;

/// The decisions on checks that were made together, in the order of the checks. There is nearly always one, and a decision is
/// large.
pub(crate) type Decisions = SmallVec<[Decision; 1]>;

/// A limiter. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Limiter(Arc<Inner>);

struct Inner {
    store: Store,
    settings: Settings,
    /// Counts the checks that a remote store did not count.
    local: MemoryStore,
    overrides: Overrides,
    /// Shared with refunds, which may end after the limiter.
    deny_cache: Arc<DenyCache>,
    reports: Reports,
}

/// What a limiter is built with.
pub(crate) struct Settings {
    pub(crate) prefix: String,
    pub(crate) deadline: Duration,
    pub(crate) on_error: OnError,
    pub(crate) max_keys: usize,
    pub(crate) writer: KeyWriter,
    pub(crate) compact_log: bool,
    pub(crate) deny_cache: Duration,
    pub(crate) prefixes: Prefixes,
    pub(crate) clock: TimeSource,
    pub(crate) shadow: bool,
    /// The overrides: quotas by the name of a policy.
    pub(crate) quotas: HashMap<String, Quota>,
}

/// The store of a limiter.
pub(crate) enum Store {
    Memory(MemoryStore),
    Remote(RemoteStore),
}

impl Limiter {
    pub(crate) fn new(store: Store, mut settings: Settings) -> Limiter {
        telemetry::describe();
        let overrides = Overrides::new(std::mem::take(&mut settings.quotas), settings.clock.micros());
        let longest_denial = match store {
            Store::Memory(_) => Duration::ZERO,
            Store::Remote(_) => settings.deny_cache,
        };
        Limiter(Arc::new(Inner {
            local: MemoryStore::new(settings.max_keys),
            store,
            settings,
            overrides,
            deny_cache: Arc::new(DenyCache::new(longest_denial)),
            reports: Reports::default(),
        }))
    }

    pub(crate) async fn check(&self, policy: &Policy, key: &Key, cost: u32) -> Decision {
        self.register(policy);
        let check = Check::new(policy, key).cost(cost);
        match &self.0.store {
            Store::Memory(store) => self.check_now(store, check),
            Store::Remote(_) => self.check_one(check).await,
        }
    }

    pub(crate) async fn check_all(&self, checks: &[Check<'_>]) -> Decisions {
        self.register_all(checks);
        self.begin(checks, self.deadline()).settled().await.decisions
    }

    /// The call is sent at once; the future only waits for the answer.
    pub(crate) fn peek(
        &self,
        policy: &Policy,
        key: &Key,
    ) -> impl Future<Output = Result<Decision, StoreError>> + Send + use<> {
        let check = Check::new(&self.current(policy), key).owned();
        let asked = match &self.0.store {
            _ if check.policy.quota().allows_nothing() => Ok(Decision::nothing(check)),
            Store::Memory(store) => {
                let verdict = store.peek(self.clock(), &self.memory_check(store, &check.as_check()));
                Ok(Decision::counted(check, verdict))
            }
            Store::Remote(store) => {
                let started = self.start(store, Group::peek(self.remote_check(&check.as_check())));
                Err((self.clone(), check, started))
            }
        };
        async move {
            let (limiter, check, started) = match asked {
                Ok(decision) => return Ok(decision),
                Err(asked) => asked,
            };
            let answer = match started {
                Ok(started) => started.await.result,
                Err(error) => Err(error),
            };
            match answer {
                Ok(mut verdicts) => match verdicts.pop() {
                    Some(verdict) => Ok(Decision::counted(check, verdict)),
                    None => Err(StoreError::other("the store answered another request")),
                },
                Err(error) if limiter.acts_here(&check.policy, &error) => {
                    let local = limiter.memory_check(limiter.local(), &check.as_check());
                    let local = limiter.local_check(&check.policy, &local);
                    let verdict = limiter.local().peek(limiter.clock(), &local);
                    Ok(Decision::counted(check, verdict).degrade(error.kind()))
                }
                Err(error) => Err(error),
            }
        }
    }

    pub(crate) async fn reset(&self, policy: &Policy, key: &Key) -> Result<(), StoreError> {
        let policy = &*self.current(policy);
        let check = Check::new(policy, key);
        match &self.0.store {
            Store::Memory(store) => store.reset(&self.memory_check(store, &check)),
            Store::Remote(store) => {
                let _forgetting = self.forgetting(&check);
                self.local().reset(&self.memory_check(self.local(), &check));
                match self.ask(store, Group::reset(self.forgetting_check(&check))).await {
                    Err(error) if self.acts_here(policy, &error) => self.report_error(&error),
                    answer => {
                        answer?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn refund(&self, policy: &Policy, key: &Key, cost: u32) -> Result<(), StoreError> {
        let policy = &*self.current(policy);
        let check = Check::new(policy, key).cost(cost);
        match self.give_back(&check, None, false).await {
            Err(error) if self.acts_here(policy, &error) => self.give_back(&check, None, true).await,
            given => given,
        }
    }

    /// Gives back the units of a check that still count, under the check's quota. `here`: this process has counted the check
    /// instead of the store. The call is sent at once; the future only waits for the answer.
    pub(crate) fn give_back(
        &self,
        check: &Check<'_>,
        receipt: Option<Receipt>,
        here: bool,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let started = match &self.0.store {
            Store::Memory(store) => {
                store.refund(self.clock(), &self.memory_check(store, check), receipt);
                None
            }
            Store::Remote(_) if here => {
                let local = self.local_check(check.policy, &self.memory_check(self.local(), check));
                self.local().refund(self.clock(), &local, receipt);
                None
            }
            Store::Remote(store) => {
                let group = Group::refund(self.forgetting_check(check), receipt);
                Some((self.forgetting(check), self.start(store, group)))
            }
        };
        async move {
            if let Some((_forgetting, started)) = started {
                started?.await.result?;
            }
            Ok(())
        }
    }

    pub(crate) async fn ready(&self) -> Result<(), StoreError> {
        match &self.0.store {
            Store::Memory(_) => Ok(()),
            Store::Remote(store) => store.ping(self.deadline())?.await.result,
        }
    }

    pub(crate) async fn close(&self) {
        if let Store::Remote(store) = &self.0.store {
            log::closing(store);
            store.close().await;
        }
    }

    /// How long a request may wait for a remote store, over all its checks.
    pub(crate) fn deadline(&self) -> Duration {
        self.0.settings.deadline
    }

    fn clock(&self) -> &TimeSource {
        &self.0.settings.clock
    }

    /// Counts the checks that a remote store did not count.
    fn local(&self) -> &MemoryStore {
        &self.0.local
    }
}

/// Shows the store and its state.
impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.store {
            Store::Memory(store) => write!(f, "memory, {} keys", store.len()),
            Store::Remote(store) => store.fmt(f),
        }
    }
}
