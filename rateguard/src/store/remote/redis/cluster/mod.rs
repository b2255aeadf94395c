//! A cluster: several servers, each with a part of the slots.
//!
//! Each master is served like a single server: with a queue, a task that owns the connection, and a circuit breaker of its
//! own. So a node that is lost or hangs fails only the checks of its own slots. A job goes to the node that has its slot, by
//! a slot map that any node can tell. If the map is out of date, the node that was asked answers that it has not run the
//! script, and which node would; the job then goes there. Whatever may have run is never sent again. The checks that wait for a
//! node share a call, also those of different slots, if the node is known to reject each key that it does not have.

mod address;
mod cross_slot;
mod dispatch;
mod learn;
mod map;
mod node;
mod redirect;
mod reroute;
mod slots;
mod state;
mod topology;

pub(crate) use address::Address;
pub(crate) use dispatch::Cluster;
