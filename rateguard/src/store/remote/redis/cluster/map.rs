//! The slot map of the cluster: which nodes are asked for it, and what happens when they answer.

use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use redis::ConnectionInfo;

use super::address::Address;
use super::dispatch::{Cluster, lock};
use super::learn::{Learner, Learning};
use super::slots::Slots;
use super::state::State;
use super::topology::Range;
use crate::error::StoreError;
use crate::store::remote::worker::warn;

impl Learner for Cluster {
    fn learning(&self) -> &Learning {
        &self.learning
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    /// In this order: the target of the last redirect, nodes that can be reached, the nodes of the URL, nodes that cannot be
    /// reached.
    fn nodes_to_ask(&self) -> Vec<(Address, ConnectionInfo)> {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for node in self.slots().iter().flat_map(|slots| slots.nodes()) {
            let of_its_kind = if node.queue.is_down() { &mut down } else { &mut up };
            of_its_kind.push(node.address.clone());
        }
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let count = up.len().max(1);
        up.rotate_left(turn % count);
        let mut order: Vec<Address> = lock(&self.hint).take().into_iter().collect();
        for address in up.into_iter().chain(self.endpoint.seeds().iter().cloned()).chain(down) {
            if !order.contains(&address) {
                order.push(address);
            }
        }
        let with_info = |address: Address| {
            let info = self.endpoint.node(&address).info().clone();
            (address, info)
        };
        order.into_iter().map(with_info).collect()
    }

    /// While the map is not known, jobs that wait for it expire.
    fn tick(&self) {
        if let State::Starting(starting) = &*self.read() {
            lock(starting).expire();
        }
    }

    /// Installs a new slot map.
    fn install(&self, ranges: Vec<Range>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*state, State::Closed) {
            return;
        }
        let old = state.slots().map(Arc::clone);
        let before = old.as_ref().map_or(&[][..], |slots| slots.nodes());
        let mut newcomers = lock(&self.newcomers);
        let slots = Slots::new(ranges, |address| {
            let known = before.iter().chain(newcomers.nodes()).find(|node| node.address == address);
            known.map_or_else(|| self.node(address.clone()), Arc::clone)
        });
        newcomers.retain_without_slots(&slots);
        drop(newcomers);
        for node in before.iter().filter(|node| slots.node(&node.address).is_none()) {
            if node.queue.is_down() {
                tracing::info!(store = %node.address, "rateguard: the cluster has given the node's slots to other nodes");
            }
        }
        let is_new = old.as_ref().is_none_or(|old| !old.is_same(&slots));
        let old = mem::replace(&mut *state, State::Known(Arc::new(slots)));
        if is_new {
            self.topology.fetch_add(1, Ordering::Release);
        }
        drop(state);
        if matches!(old, State::Unreachable(_)) {
            tracing::info!(store = %self.endpoint, "rateguard: the store answers again; limits are enforced");
        }
        for job in old.into_jobs() {
            self.send_or_fail(job);
        }
    }

    /// An old map stays in use. Without one, jobs cannot be sent to any node.
    fn unknown(&self, error: &StoreError) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*state, State::Known(_) | State::Closed) {
            return;
        }
        let old = mem::replace(&mut *state, State::Unreachable(error.clone()));
        drop(state);
        if matches!(old, State::Starting(_)) {
            warn(&self.endpoint.to_string(), error);
        }
        for mut job in old.into_jobs() {
            job.fail(error.clone());
        }
    }

    /// The slots of a node that cannot be reached may soon belong to another.
    fn has_doubts(&self) -> bool {
        self.slots().is_none_or(|slots| slots.nodes().iter().any(|node| node.queue.is_down()))
    }
}
